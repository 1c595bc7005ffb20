"""Exit statuses: what was wrong, and that a gate's 1 means a regression and nothing else."""

import json
import os
import threading
from types import SimpleNamespace

import pytest

import calibench.cli
from helpers.gate_runs import TASK, run_gate, write_run


def ends(monkeypatch, capsys, error):
    """The exit status and the messages of a command that ends with `error`."""

    def run(**_):
        raise error

    monkeypatch.setattr(calibench.cli.cli.commands["tasks"], "callback", run)
    monkeypatch.setattr("sys.argv", ["calibench", "tasks"])
    with pytest.raises(SystemExit) as ended:
        calibench.cli.main()
    said = capsys.readouterr().err
    return SimpleNamespace(code=ended.value.code, said=said)


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, "calibench: interrupted."),
        (MemoryError(), 2, "calibench: there is not enough memory."),
    ],
)
def test_an_interruption_and_a_lack_of_memory_are_no_regressions(
    monkeypatch, capsys, error, status, sentence
):
    ended = ends(monkeypatch, capsys, error)
    assert ended.code == status and ended.said.strip() == sentence


def test_a_fault_of_calibench_shows_its_traceback_and_asks_for_a_report(monkeypatch, capsys):
    ended = ends(monkeypatch, capsys, KeyError("filter"))
    assert ended.code == calibench.cli.FAULT
    assert "Traceback" in ended.said and "KeyError: 'filter'" in ended.said
    assert ended.said.strip().splitlines()[-1].startswith("calibench: this is a bug in calibench")


@pytest.fixture
def gated(tmp_path):
    """A baseline and the run that it was made from."""
    record = {"task": TASK, "split": "test", "method": "likelihood", "question": "?", "answer": "a"}
    record |= {"reason": None, "signature": "norm:tokens"}
    rows = []
    for i in range(40):
        found = {**record, "id": f"q{i}", "correct": i % 2, "confidence": 0.2 + 0.5 * (i % 2)}
        rows.append(
            {
                "doc_id": i,
                "filter": "likelihood",
                "doc_hash": f"{i:064x}",
                "filtered_resps": [json.dumps(found)],
                "metrics": [],
                "acc": i % 2,
            }
        )
    run = write_run(tmp_path / "run", rows)
    baseline = tmp_path / "baseline.yaml"
    assert run_gate("--update", baseline, run, "--samples", tmp_path / "samples")[0] == 0
    return baseline, run


def test_json_goes_to_standard_output_and_the_table_to_standard_error(gated, capfd):
    from calib_leaderboards.gate.command import run_gate as gate

    baseline, run = gated
    assert gate(baseline, run, json_file="-") == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["exit_code"] == 0 and "PASS" in said.err


def test_a_link_stays_a_link_and_its_target_gets_the_report(gated, tmp_path):
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    assert run_gate(*gated, "--json", link)[0] == 0
    assert link.is_symlink() and json.loads(target.read_text())["exit_code"] == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_stays_a_pipe_and_is_written_to(gated, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert run_gate(*gated, "--json", pipe)[0] == 0
    reader.join(10)
    assert json.loads(read[0])["exit_code"] == 0 and pipe.is_fifo()
