"""What an entry of the store says of its run: model, adapter, data, settings, notes."""

import gzip
import hashlib
import re

import pytest

from calib_leaderboards import provenance
from calib_leaderboards.pages.publish import build_store
from calib_leaderboards.store import add
from helpers.store_runs import (
    CHOICE,
    FEW,
    OURS,
    change_record,
    change_results,
    entry_of,
    log_file,
    of_task,
    results_file,
    with_model,
)

STOCK = {
    "truthfulqa_mc1": {"none": ["acc"]},
    "truthfulqa_mc2": {"none": ["acc"]},
    "mmlu_anatomy": {"none": ["acc"]},
    "squad_completion": {"none": ["contains"]},
    "gsm8k": {"strict-match": ["exact_match"], "flexible-extract": ["exact_match"]},
}


def test_an_entry_says_where_it_comes_from(evaluated, tmp_path):
    path = of_task(add([evaluated], tmp_path / "store", **FEW), OURS)
    assert path.relative_to(tmp_path).as_posix() == (
        f"store/org__tiny/main/{OURS}--5-shot_k-3.json"
    )
    entry = entry_of(path)
    model = {"name": "org/tiny", "revision": "main", "sha": "abc", "parameters": 1234}
    assert entry["model"] == {**model, "dtype": "float32", "adapter": None}
    origin = entry["provenance"]
    for name, file in (("results", results_file(evaluated)), ("samples", log_file(evaluated))):
        assert origin[name]["file"] == file.name
        assert origin[name]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert origin["samples"]["rows"] == 96
    assert origin["versions"]["torch"] == "2.13.0+cpu" and origin["hardware"]["cpu"] == "Fast One"
    assert origin["seeds"]["fewshot_seed"] == 1234 and origin["date"] == "2025-01-02"
    assert "--model_args dtype=float32,pretrained=org/tiny " in origin["command"]
    assert f"--include_path harness_tasks --tasks {OURS} " in origin["command"]
    assert entry["setting"]["num_fewshot"] == 5 and entry["setting"]["answers"] == "own"


def test_the_command_of_a_task_that_is_not_shipped_asks_for_its_folder(ours, tmp_path, monkeypatch):
    assert OURS in provenance.shipped_tasks() and "my_task" not in provenance.shipped_tasks()
    monkeypatch.setattr(provenance, "shipped_tasks", frozenset)
    origin = entry_of(of_task(add([ours], tmp_path / "store", **FEW), OURS))["provenance"]
    assert f"--include_path FOLDER_OF_THE_TASK --tasks {OURS} " in origin["command"]


def test_a_note_stands_beside_the_scores_on_every_page_and_is_escaped(ours, tmp_path):
    add([ours], tmp_path / "store", note="a part <i>only</i> | 40 of 90", **FEW)
    build_store(tmp_path / "store", tmp_path / "board")
    pages = [tmp_path / "board" / "README.md", *(tmp_path / "board/site/model").iterdir()]
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "a part &lt;i&gt;only&lt;/i&gt;" in text and "<i>" not in text, page


def test_the_readme_begins_with_tasks_that_have_confidences_and_links_to_each(
    ours, evaluated_stock, tmp_path
):
    add([evaluated_stock, ours], tmp_path / "store", **FEW)
    build_store(tmp_path / "store", tmp_path / "board")
    page = (tmp_path / "board" / "README.md").read_text(encoding="utf-8")
    overview, *tasks, _ = (line[3:] for line in page.splitlines() if line.startswith("## "))
    assert overview == "Which method?"
    assert set(tasks[:2]) == {OURS, CHOICE} and set(tasks[2:]) == set(STOCK)
    (contents,) = (line for line in page.splitlines() if line.startswith("**Tasks**"))
    assert re.findall(r"\(#([a-z0-9_]+)\)", contents) == tasks


def test_a_note_that_is_too_long_is_refused(ours, tmp_path):
    with pytest.raises(ValueError, match="note: String should have at most 300 characters"):
        add([ours], tmp_path / "store", note="x" * 301, **FEW)
    assert not list(tmp_path.rglob("*.json.gz")) and not list((tmp_path / "store").rglob("*.json"))


def test_no_folder_and_no_credential_of_the_machine_is_published(evaluated, tmp_path):
    secret = {
        "pretrained": f"{tmp_path}/model-b179c9523d0e",
        "base_url": "https://me:sesame@example.org:8000/v1/completions?key=sesame#sesame",
        "header": {"Authorization": "Bearer sesame"},
        "ca_cert_path": "sesame.pem",
    }
    secret |= dict.fromkeys(("api_key", "bearer", "credential", "key", "cookie", "x"), "sesame")
    run = with_model(evaluated, tmp_path / "run", **secret)
    paths = add([run], tmp_path / "store", **FEW)
    build_store(tmp_path / "store", tmp_path / "pages")
    for file in [*(tmp_path / "store").rglob("*"), *(tmp_path / "pages").rglob("*")]:
        if file.is_file():
            content = file.read_bytes()
            content = gzip.decompress(content) if file.suffix == ".gz" else content
            assert b"sesame" not in content and str(tmp_path).encode() not in content, file
    entry = entry_of(paths[0])
    assert entry["model"]["name"] == "model"
    url = "https://example.org:8000/v1/completions"
    assert entry["provenance"]["model_args"]["base_url"] == url
    assert url in entry["provenance"]["command"]


def test_the_data_fingerprint_changes_with_a_question_and_with_nothing_else(ours, tmp_path):
    def fingerprints(folder, store):
        origin = entry_of(of_task(add([folder], tmp_path / store, **FEW), OURS))["provenance"]
        return origin["data_fingerprint"], origin["answers_fingerprint"]

    data, answers = fingerprints(ours, "a")
    lines = log_file(ours).read_text(encoding="utf-8").splitlines(keepends=True)
    log_file(ours).write_text("".join(reversed(lines)), encoding="utf-8")
    change_results(ours, lambda r: r.pop("task_hashes"))
    assert fingerprints(ours, "b") == (data, answers)
    for line in (1, 25, 49, 73):
        change_record(ours, line, question="Another?")
    changed = fingerprints(ours, "c")
    assert changed[0] != data and changed[1] == answers


def test_an_adapter_is_named_labelled_and_hashed(evaluated, tmp_path):
    adapter = tmp_path / "my_adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    run = with_model(evaluated, tmp_path / "run", peft="/somewhere/my_adapter")
    path = of_task(add([run], tmp_path / "store", adapters=[adapter], **FEW), OURS)
    assert path.parent == tmp_path / "store" / "org__tiny" / "my_adapter"
    entry = entry_of(path)
    assert entry["model"]["adapter"] == {
        "name": "my_adapter",
        "revision": None,
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "use": "peft",
    }
    labels = {score["method"]: score["label"] for score in entry["scores"]}
    assert labels["zero_shot_classifier"] == "Fine-Tuned"
    with pytest.raises(ValueError, match="No run used an adapter with the name of .*store"):
        add([run], tmp_path / "other", adapters=[tmp_path / "store"], **FEW)


def set_metadata(key, value):
    return lambda r: r["configs"][OURS]["metadata"].update({key: value})


@pytest.mark.parametrize(
    "change, slug",
    [
        (lambda r: None, "5-shot_k-3"),
        (lambda r: r["n-shot"].update({OURS: 0}), "0-shot_k-3"),
        (lambda r: r.update(chat_template_sha="c1", fewshot_as_multiturn=True), "5-shot_chat_k-3"),
        (lambda r: r.update(system_instruction_sha="s1"), "5-shot_system-[0-9a-f]{8}_k-3"),
        (set_metadata("answers", "runs/base"), "5-shot_frozen-[0-9a-f]{8}_k-3"),
        (set_metadata("k", 10), "5-shot"),
        (set_metadata("split", "train"), "5-shot_k-3_split-train"),
        (lambda r: r["config"].update(gen_kwargs={"t": 1}), "5-shot_k-3_gen-[0-9a-f]{8}"),
        (
            lambda r: r["config"]["model_args"].update(load_in_4bit=True),
            "5-shot_k-3_args-[0-9a-f]{8}",
        ),
        (lambda r: r["config"]["model_args"].update(device="cpu"), "5-shot_k-3"),
    ],
)
def test_settings_lie_side_by_side(ours, tmp_path, change, slug):
    path = of_task(add([change_results(ours, change)], tmp_path / "store", **FEW), OURS)
    assert entry_of(path)["setting"]["slug"] == path.stem.removeprefix(f"{OURS}--")
    assert re.fullmatch(slug, path.stem.split("--")[1])
