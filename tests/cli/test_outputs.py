"""Files that commands write: never over what they read, never an empty name, whole or in place."""

import errno
import json
import os
import threading

import pytest
from click.testing import CliRunner

from calib_metrics.outputs import whole_file, write_atomically
from calibench.cli import cli

pytest.importorskip("pyarrow")

# Right and wrong alike at every confidence, so that no half of them is separated.
FIT = "id,confidence,correct\n" + "".join(
    f"{i},{0.2 + i % 7 / 10:.1f},{i * 5 % 8 % 2}\n" for i in range(40)
)
APPLY = "id,confidence,correct\ne,0.8,1\nf,0.5,1\ng,0.2,0\nh,0.7,0\n"
SCORE = ("score", "t.csv", "--resamples", "0")
RECALIBRATE = ("recalibrate", "v.csv", "t.csv", "--rows", "id")
COMBINE = ("combine", "fit", "v.csv", "--methods", "confidence", "--id", "id", "--folds", "2")


@pytest.fixture(autouse=True)
def tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.csv").write_text(FIT)
    (tmp_path / "t.csv").write_text(APPLY)


def call(*words):
    return CliRunner().invoke(cli, list(words))


@pytest.mark.parametrize("words", [
    (*SCORE, "--json", "t.csv"), (*SCORE, "--json", "./t.csv"), (*SCORE, "--json", "link.csv"),
    (*RECALIBRATE, "-o", "v.csv"), (*RECALIBRATE, "-o", "t.csv"),
    (*RECALIBRATE, "-o", "o.csv", "--save", "t.csv"), (*COMBINE, "-o", "v.csv"),
    ("gate", "v.csv", ".", "--json", "v.csv"), ("gate", "v.csv", ".", "--junit", "v.csv"),
])  # fmt: skip
def test_an_output_that_is_an_input_is_refused_and_both_stay(words):
    os.symlink("t.csv", "link.csv")
    ended = call(*words)
    assert "is read by this command" in str(ended.exception)
    assert open("v.csv").read() == FIT and open("t.csv").read() == APPLY


def test_a_table_is_combined_into_another_file_than_the_fit():
    assert call(*COMBINE, "-o", "f.json").exit_code == 0
    fit = open("f.json").read()
    ended = call("combine", "apply", "f.json", "t.csv", "--id", "id", "-o", "f.json")
    assert "is read by this command" in str(ended.exception)
    assert open("f.json").read() == fit


def test_the_table_and_the_map_have_two_names():
    ended = call(*RECALIBRATE, "-o", "o.csv", "--save", "./o.csv")
    assert "a file of its own" in str(ended.exception)
    assert not os.path.exists("o.csv")


@pytest.mark.parametrize("words", [
    (*SCORE, "--json", ""), (*SCORE, "--figures", ""), (*RECALIBRATE, "-o", ""),
    (*RECALIBRATE, "-o", "o.csv", "--save", ""), (*COMBINE, "-o", ""),
    ("template", "general", "--data", "t.csv", "-o", ""), ("grade", ".", "-o", ""),
    ("prepare", "t.csv", "-o", ""), ("leaderboard", "build", "-o", ""),
    ("leaderboard", "add", ".", "--store", ""), ("recipes", "cp", "calibration_tuning_quick", ""),
])  # fmt: skip
def test_an_empty_name_is_not_the_current_folder(words):
    before = sorted(os.listdir())
    ended = call(*words)
    assert ended.exit_code == 2 and "it is empty" in ended.output
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(("words", "output"), [
    (SCORE, "--json"), ((*RECALIBRATE, "-o", "o.csv"), "--save"), (COMBINE, "-o"),
])  # fmt: skip
def test_json_goes_through_a_link_and_into_a_pipe(words, output):
    os.symlink("target.json", "link.json")
    assert call(*words, output, "link.json").exit_code == 0
    assert os.path.islink("link.json") and json.load(open("target.json"))
    if os.path.exists("o.csv"):
        os.remove("o.csv")
    os.mkfifo("pipe.json")
    read = []
    reader = threading.Thread(target=lambda: read.append(open("pipe.json").read()))
    reader.start()
    assert call(*words, output, "pipe.json").exit_code == 0
    reader.join(20)
    assert json.loads(read[0]) == json.load(open("target.json"))


def test_a_link_to_itself_is_an_error_and_stays():
    os.symlink("loop.json", "loop.json")
    for words in ((*SCORE, "--json"), (*RECALIBRATE, "-o", "o.csv", "--save"), (*COMBINE, "-o")):
        error = call(*words, "loop.json").exception
        assert isinstance(error, OSError) and error.errno == errno.ELOOP
    assert os.path.islink("loop.json")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device on this system")
def test_a_full_disk_is_said_of_the_file_that_found_it_full(monkeypatch):
    full = "No space left on device: '/dev/full'"
    for words in ((*SCORE, "--json"), (*RECALIBRATE, "-o", "o.csv", "--save"), (*COMBINE, "-o")):
        assert full in str(call(*words, "/dev/full").exception)

    def write(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("calib_metrics.recalibrated_table._write", write)
    error = call(*RECALIBRATE, "-o", "table.csv").exception
    assert error.errno == errno.ENOSPC and error.filename.endswith("table.csv")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork on this system")
def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    child = os.fork()
    if not child:
        with whole_file(tmp_path / "deep" / "t.json") as part:
            part.write_text("half")
            os._exit(9)
    os.waitpid(child, 0)
    folder = tmp_path / "deep"
    (left,) = folder.iterdir()
    living = left.with_name(left.name.replace(f"-{child}-", f"-{os.getpid()}-"))
    elsewhere = left.with_name(f".00000000{left.name[9:]}")
    for other in (living, elsewhere, folder / ".mine.part"):
        other.write_text("kept")
    write_atomically(folder / "u.json", b"{}")
    assert not left.exists()
    assert {file.name for file in folder.iterdir()} == {
        living.name, elsewhere.name, ".mine.part", "u.json"
    }  # fmt: skip


def test_a_recalibrated_table_goes_through_a_link():
    os.symlink("target.csv", "link.csv")
    assert call(*RECALIBRATE, "-o", "link.csv").exit_code == 0
    assert os.path.islink("link.csv") and open("target.csv").read().startswith('"id"')


def test_json_on_standard_output_is_all_there():
    ended = CliRunner().invoke(cli, [*SCORE, "--json", "-"])
    assert json.loads(ended.stdout)["reports"][0]["scores"]["acc"]["value"] == 0.5
    assert "acc" in ended.stderr
