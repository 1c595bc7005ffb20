"""`calibench score`: its options, its intervals, its output, and how soon it answers."""

import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import calibench.cli
from calib_metrics import score
from calib_metrics.registry import METRICS
from helpers.score_command import CSV, FEW, KINDS, a_file, run, values, write

RNG = np.random.default_rng(0)
MANY = {
    "confidence": RNG.random(200).round(2),
    "correct": RNG.integers(0, 2, 200),
    "subject": [f"subject {k}" for k in RNG.integers(0, 20, 200)],
}


def test_signatures_and_intervals_are_those_of_score(tmp_path):
    options = ("--metrics", "ece, auroc", "--bins", "5", "--strategy", "mass", "--norm", "l2")
    options += ("--method", "mine", "--seed", "7", "--interval", "bca", "--resamples", "300")
    path = write(tmp_path / "answers.csv", "csv", MANY)
    output = run(path, *options)
    expected = score(
        MANY["confidence"],
        MANY["correct"],
        ("ece", "auroc"),
        method="mine",
        bins=5,
        strategy="mass",
        norm="l2",
        seed=7,
        interval="bca",
        resamples=300,
    )
    assert "answers.csv, mine\n" in output
    for found in expected.values():
        assert f"  {found.signature}\n" in output
        assert f"[{found.low:.4f}, {found.high:.4f}]" in output


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_group_are_drawn_together(tmp_path, kind):
    path = write(tmp_path / f"answers.{kind}", kind, MANY)
    output = run(path, "--group", "subject", "--metrics", "ece", "--resamples", "200")
    found = score(
        MANY["confidence"], MANY["correct"], "ece", groups=MANY["subject"], resamples=200
    )["ece"]
    assert "clusters:20" in found.signature and f"  {found.signature}\n" in output + "\n"
    assert f"[{found.low:.4f}, {found.high:.4f}]" in output


def test_worst_case_of_missing_confidences_is_stated(tmp_path):
    path = a_file(tmp_path, CSV + "e,,1\n")
    output = run(path, "--metrics", "brier,ece", "--missing", "worst_case", *FEW)
    # The fifth answer is right, so confidence 0 is worst: (0.9 + 1) / 5 and (1.6 + 1) / 5.
    assert values(output) == {"brier": "0.3800", "ece": "0.5200"}
    assert "missing:worst_case" in output and "Noise floor" not in output


def test_without_resamples_there_is_neither_interval_nor_noise_floor(tmp_path):
    output = run(a_file(tmp_path, CSV), "--resamples", "0")
    assert "[" not in output and "Noise floor" not in output and "interval" not in output


def test_noise_floor_tells_miscalibration_from_chance(tmp_path):
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 400)
    correct = (rng.random(400) < confidence).astype(int)
    path = write(tmp_path / "good.csv", "csv", {"confidence": confidence, "correct": correct})
    assert "does not show that they are miscalibrated" in " ".join(run(path).split())
    flipped = {"confidence": confidence, "correct": 1 - correct}
    output = run(write(tmp_path / "bad.csv", "csv", flipped))
    assert "so the confidences are miscalibrated" in " ".join(output.split())


def test_one_class_is_a_sentence_and_the_other_scores(tmp_path):
    output = run(a_file(tmp_path, "confidence,correct\n0.9,1\n0.8,1\n"), *FEW)
    assert values(output)["auroc"] == "n/a" and values(output)["ece"] == "0.1500"
    assert "AUROC is undefined (NaN): all 2 answers are right" in output


def test_rounding_errors_are_clipped_on_request_and_the_output_says_so(tmp_path):
    path = a_file(tmp_path, "confidence,correct\n1.00000003,1\n-0.0001,0\n0.5,1\n")
    with pytest.raises(ValueError, match="-0.0001 to 1.00000003, outside"):
        run(path)
    output = run(path, "--clip_rounding", *FEW)
    assert values(output)["brier"] == "0.0833"  # .25 / 3
    said = " ".join(output.split())
    assert "2 of 3 confidences missed [0, 1] by rounding, by at most 0.0001, and were clip" in said
    assert output.count("|clipped:2\n") == 5
    whole = run(a_file(tmp_path, CSV), "--clip_rounding", *FEW)
    assert "clipped" not in whole
    with pytest.raises(ValueError, match="outside the range"):
        run(a_file(tmp_path, "confidence,correct\n1.01,1\n"), "--clip_rounding")


def test_no_confidence_at_all_is_scored_and_not_drawn(tmp_path):
    path = a_file(tmp_path, "confidence,correct\n,1\n,0\n")
    assert values(run(path, *FEW)).items() >= {"acc": "0.5000", "ece": "n/a"}.items()
    with pytest.raises(ValueError, match="missing in every row"):
        run(path, "--figures", tmp_path / "figures", *FEW)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--metrics", "ece,f1"), "metric is 'f1'"),
        (("--bins", "0"), "bins is 0"),
        (("--norm", "l3"), "norm is 'l3'"),
        (("--format", "excel"), "format is 'excel'.*parquet"),
        (("--group", "subject"), "no column 'subject'"),
        (("--correct", "confidence"), "'confidence', 'confidence' must differ"),
    ],
)
def test_bad_option_is_a_sentence(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        run(a_file(tmp_path, CSV), *options)


def test_error_is_one_line_and_exit_code_1(tmp_path):
    found = subprocess.run(
        [sys.executable, "-m", "calibench", "score", a_file(tmp_path, "a,b\n1,2\n")],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1 and found.stdout == ""
    assert re.fullmatch(r"calibench: .*answers.csv: there is no column .*\n", found.stderr)


def test_many_rows_without_resamples_agree_with_numpy(tmp_path):
    rng = np.random.default_rng(0)
    confidence = rng.random(300_000)
    correct = rng.random(300_000) < confidence**2
    columns = {"confidence": confidence, "correct": correct}
    path = write(tmp_path / "many.parquet", "parquet", columns)
    output = run(path, "--resamples", "0")
    assert values(output)["brier"] == f"{np.mean((confidence - correct) ** 2):.4f}"
    assert values(output)["acc"] == f"{correct.mean():.4f}" and "300,000" in output


def test_every_metric_and_definition_is_listed_with_what_it_is():
    output = run("--list_metrics")
    for metric in METRICS.values():
        lines = re.search(rf"^{metric.name}(@\S+)? [↑↓]\n    (.*)", output, re.MULTILINE)
        assert lines and len(lines[2]) > 20, metric.name


def test_help_is_instant_since_nothing_heavy_is_imported():
    code = (
        "import sys, calibench.cli\n"
        "try: calibench.cli.cli(['score', '--help'])\n"
        "except SystemExit: pass\n"
        "print({'numpy', 'pyarrow', 'torch', 'matplotlib', 'lm_eval'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.rstrip().endswith("set()")


def test_files_with_the_same_confidences_are_said_to_have_them(tmp_path):
    one, two = a_file(tmp_path, CSV, "base.csv"), a_file(tmp_path, CSV, "tuned.csv")
    other = a_file(tmp_path, CSV.replace("0.6", "0.7"), "other.csv")
    output = run(one, other, two, *FEW)
    assert re.search(r"base\.csv and confidence in \S*tuned\.csv: the same confidences", output)
    assert "the same confidences" not in run(one, other, *FEW)


@pytest.mark.parametrize("option", ["--bins", "--resamples"])
def test_numbers_that_would_take_all_time_or_memory_are_refused(tmp_path, option):
    found = CliRunner().invoke(
        calibench.cli.cli, ["score", str(a_file(tmp_path, CSV)), option, "1000000000"]
    )
    assert found.exit_code == 2 and "is not in the range 0<=x<=1000000" in found.output
