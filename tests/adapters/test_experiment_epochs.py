"""Experiments on what a model knows: rows divided by it, results by epoch and by baseline."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from calib_adapters.data.prepare import load_prepared
from helpers.adapters_common import prepared_row, write_prepared
from helpers.experiment_logs import write_log
from runner.answers import write_answers
from runner.config import load_config
from runner.divide import divide_by_knowledge
from runner.measure import Scored
from runner.run import _score, epochs_of
from runner.steps import EXPERIMENTS
from runner.table import draw_epochs, tables

CONFIG = """\
table: a model
label: {label}
data:
  prepare: [calib_worldfacts]
  options: [--redivide]
  known: {{task: calib_worldfacts, method: likelihood, train: true}}
recipe: sft
seeds: [0]
confidences: true
{more}
"""
EPOCH = "keep_epochs: true\nevaluate:\n" + "\n".join(
    f'  "{split}, epoch {n}": {{task: calib_worldfacts, method: likelihood, {split}: true, '
    f"epoch: {n}}}"
    for n in (2, 10)
    for split in ("test", "train")
)
TEST = "evaluate: {test: {task: calib_worldfacts, method: likelihood, test: true}}\n"


def finished(folder, label, answers, more=TEST, epochs=()):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(label=label, more=more), encoding="utf-8")
    config = load_config(folder)
    write_answers(folder, {(0, name): rows for name, rows in answers.items()})
    summary = {name: {"n": len(rows)} for name, rows in answers.items()}
    result = {"config": config.model_dump(mode="json"), "summary": summary}
    result["training"] = [{"seed": 0, "epochs": epochs}]
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return config


def said(confidence, right, n=40):
    """n answers with one confidence, of which the first so many are right."""
    return [Scored(str(i), int(i < right), confidence) for i in range(n)]


def test_training_rows_are_known_if_the_model_answers_them(tmp_path):
    rows = [prepared_row(n, "train", task="q") for n in range(4)]
    rows += [prepared_row(9, "validation", task="q")]
    data = write_prepared(tmp_path / "data", rows)
    graded = [("likelihood", 0.5, n % 2, []) for n in range(4)]
    ungraded = [("sampling", 0.5, None, []) for _ in range(4)]
    log = write_log(tmp_path / "log.jsonl", graded + ungraded)
    log.write_text(log.read_text().replace('\\"id\\": \\"', '\\"id\\": \\"q-'), encoding="utf-8")
    counts = divide_by_knowledge(data, log, "likelihood", tmp_path / "out")
    assert counts == {"unknown": 2, "known": 2}
    before, described = load_prepared(data)
    after, again = load_prepared(tmp_path / "out")
    assert after["train"]["task"] == ["unknown", "known", "unknown", "known"]
    assert after["train"]["prompt"] == before["train"]["prompt"]
    assert after["validation"].to_list() == before["validation"].to_list()
    assert described["fingerprint"] != again["fingerprint"]
    with pytest.raises(ValueError, match="holds no graded answer to the training row 'q-0'"):
        divide_by_knowledge(data, log, "sampling", tmp_path / "other")


class Recorder:
    """Steps that note the commands, and leave what the next one reads."""

    def __init__(self, folder):
        self.folder, self.commands = folder, []

    def run(self, name, arguments, resumes=False, program="calibench"):
        self.commands.append([program, *arguments])
        out = self.folder / f"{name}-{len(self.commands)}" / "out"
        out.mkdir(parents=True)
        for role, number in (("train", 7), ("test", 8)):
            text = json.dumps({"calib_worldfacts": [number]})
            (out / f"{role}_samples.json").write_text(text, encoding="utf-8")
        if arguments[0] == "eval":
            write_log(out / "samples_calib_worldfacts_1.jsonl", [("likelihood", 0.9, 1, [])])
        return out


def test_the_base_model_divides_the_rows_and_each_epoch_is_asked(tmp_path):
    config = finished(tmp_path / "x", "SFT", {}, EPOCH)
    steps = Recorder(tmp_path / "steps")
    _score(config, steps, {}, [])
    shown = [" ".join(command) for command in steps.commands]
    assert '--samples {"calib_worldfacts": [7]}' in shown[1] and "peft" not in shown[1]
    assert shown[2].startswith(f"{EXPERIMENTS} divide $TEMPORARY/prepared-1/out $TEMPORARY/asked-")
    assert "--keep_epochs --data $TEMPORARY/divided-3/out" in shown[3]
    asked = [line for line in shown if "trained-4/out/epochs/" in line]
    assert ["epochs/2 " in line for line in asked] == [True, True, False, False]
    assert ["[8]" in line for line in asked] == [True, False, True, False]


def test_a_row_is_compared_with_its_baseline_though_the_answers_differ(tmp_path):
    finished(tmp_path / "sft", "SFT", {"test": said(0.9, 20)})
    finished(tmp_path / "ls", "CoLS", {"test": said(0.7, 24)}, f"baseline: sft\n{TEST}")
    finished(tmp_path / "other", "Other", {"test": said(0.7, 24)}, f"baseline: none\n{TEST}")
    (line,) = [line for line in tables(tmp_path).splitlines() if ", less " in line]
    # The ECE is .4 and .1, the accuracy .5 and .6.
    assert line.startswith("| test | CoLS, less SFT | 40 | +0.100 (")
    assert "| -0.300 (" in line and line.endswith("| 75 % |")


def test_what_was_logged_after_each_epoch_is_kept(tmp_path):
    log = {
        "training": [{"epoch": e, "nll": nll} for e, nll in ((0.5, 3.0), (1, 1.0), (2, 0.5))],
        "validation": [{"epoch": 1, "nll": 2.0, "exact": 0.4, "step": 9}, {"epoch": 2, "nll": 2.5}],
    }
    file = tmp_path / "training_log.json"
    file.write_text(json.dumps(log), encoding="utf-8")
    assert epochs_of(file) == [
        {"epoch": 1, "nll": 2.0, "exact": 0.4, "training_nll": 2.0},
        {"epoch": 2, "nll": 2.5, "training_nll": 0.5},
    ]
    assert epochs_of(tmp_path / "none.json") == []


def test_the_figure_shows_the_epochs_that_were_asked(tmp_path):
    epochs = [{"epoch": n, "nll": 1.0, "exact": 0.5, "training_nll": 1 / n} for n in range(1, 11)]
    answers = {"test, epoch 10": said(0.9, 20), "test, epoch 2": said(0.6, 20)}
    finished(tmp_path / "sft", "SFT", answers, EPOCH, epochs)
    finished(tmp_path / "ls", "LS", {"test": said(0.9, 20)}, TEST, epochs)
    png, svg = draw_epochs(tmp_path)
    assert (png.name, svg.name) == ("epochs.png", "epochs.svg")
    shown = "".join(ElementTree.parse(svg).getroot().itertext())
    assert "SmolLM2-135M-Instruct" in shown and "confidence, test" in shown
    finished(tmp_path / "none" / "x", "SFT", {"test": said(0.9, 20)})
    with pytest.raises(FileNotFoundError, match="after its epochs"):
        draw_epochs(tmp_path / "none")
