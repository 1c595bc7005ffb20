"""`calibench recalibrate`: fitted on one table, applied to another, never to the same rows."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from calib_metrics import recalibration
from calib_metrics.files import read_rows
from calibench.cli import cli


def rows(n, seed):
    """Overconfident answers."""
    draw = np.random.default_rng(seed)
    confidence = draw.uniform(0.3, 0.99, n).round(4)
    return confidence, (draw.random(n) < expit(0.4 * logit(confidence) - 0.3)).astype(int)


def write(path, confidence, correct, first=0):
    """A table with the columns id, p and right."""
    lines = [
        f"q{first + i},{p},{c}" for i, (p, c) in enumerate(zip(confidence, correct, strict=True))
    ]
    path.write_text("\n".join(["id,p,right", *lines]) + "\n")
    return path


NAMES = ("--confidence", "p", "--correct", "right")


def run(*words):
    return CliRunner().invoke(cli, ["recalibrate", *map(str, words), *NAMES])


@pytest.fixture
def tables(tmp_path):
    return write(tmp_path / "v.csv", *rows(300, 1)), write(tmp_path / "t.csv", *rows(200, 2), 300)


def by_hand(kind, fitted, applied):
    """The same maps by SciPy and scikit-learn."""
    odds, correct = logit(fitted[0]), fitted[1]
    if kind == "temperature":

        def loss(t):
            return -np.mean(np.log(np.where(correct == 1, expit(odds / t), expit(-odds / t))))

        best = minimize_scalar(loss, bounds=(0.01, 100), method="bounded", options={"xatol": 1e-9})
        return expit(logit(applied) / best.x)
    if kind == "platt":
        model = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], correct)
        return model.predict_proba(logit(applied)[:, None])[:, 1]
    return IsotonicRegression(out_of_bounds="clip").fit(fitted[0], correct).predict(applied)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("kind", ["temperature", "platt", "isotonic"])
def test_the_new_confidences_are_scipys_and_scikit_learns(tables, tmp_path, kind, suffix):
    output = tmp_path / f"o{suffix}"
    ended = run(*tables, "--map", kind, "--rows", "id", "-o", output, "--save", tmp_path / "m.json")
    assert ended.exit_code == 0, ended.output
    fitted, (applied, correct) = rows(300, 1), rows(200, 2)
    found = read_rows(output, group="id")
    assert found.confidence == pytest.approx(by_hand(kind, fitted, applied), abs=2e-5)
    assert list(found.correct) == list(correct)
    assert list(found.groups) == [f"q{300 + i}" for i in range(200)]  # in the order given
    assert read_rows(output, confidence="before").confidence == pytest.approx(applied)
    kept = recalibration.load(tmp_path / "m.json")
    assert kept.apply(applied) == pytest.approx(found.confidence)
    if kind != "isotonic":
        assert "lowers the NLL of these 200 rows" in ended.output


def test_the_new_table_can_be_scored(tables, tmp_path):
    assert run(*tables, "-o", tmp_path / "o.csv").exit_code == 0
    scored = CliRunner().invoke(cli, ["score", str(tmp_path / "o.csv"), "--resamples", "0"])
    assert scored.exit_code == 0, scored.output


def test_the_same_rows_are_refused_and_nothing_is_written(tables, tmp_path):
    validation, test = tables
    confidence, correct = rows(300, 1)
    same = write(tmp_path / "shuffled.csv", confidence[::-1], correct[::-1], 1000)
    shared = write(tmp_path / "shared.csv", *rows(5, 9), 299)  # one question of them
    for applied, rows_of, message in [
        (validation, (), "exactly the 300 confidences"),
        (same, (), "exactly the 300 confidences"),
        (shared, ("--rows", "id"), "fitted on 1 of the row ids given here \\('q299'"),
    ]:
        ended = run(validation, applied, *rows_of, "-o", tmp_path / "o.csv")
        assert isinstance(ended.exception, ValueError)
        with pytest.raises(ValueError, match=message):
            raise ended.exception
        assert not (tmp_path / "o.csv").exists()


def test_missing_confidences_stay_missing_and_are_counted(tmp_path):
    confidence, correct = rows(50, 1)
    write(tmp_path / "v.csv", ["", *confidence[1:]], correct)
    write(tmp_path / "t.csv", [*rows(50, 2)[0][:-1], ""], correct, 50)
    ended = run(tmp_path / "v.csv", tmp_path / "t.csv", "-o", tmp_path / "o.csv")
    assert "fitted on 49 rows" in ended.output and "1 rows of the fit have no" in ended.output
    found = read_rows(tmp_path / "o.csv").confidence
    assert np.isnan(found[-1]) and not np.isnan(found[:-1]).any()


def test_a_log_of_lm_eval_is_read_by_its_method(tmp_path, tables):
    records = [
        {"task": "t", "split": "test", "id": f"x{i}", "method": method, "question": "?",
         "answer": "a", "correct": int(c), "confidence": float(p), "reason": None}
        for method in ("verbalized", "likelihood")
        for i, (p, c) in enumerate(zip(*rows(40, 3), strict=True))
    ]  # fmt: skip
    log = tmp_path / "samples_t_2026-01-01T00-00-00.000000.jsonl"
    lines = [
        {"doc_id": i % 40, "doc": {}, "resps": [], "filter": record["method"],
         "filtered_resps": [json.dumps(record)]}
        for i, record in enumerate(records)
    ]  # fmt: skip
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = (tables[0], log, "--rows", "id", "-o", tmp_path / "o.csv")
    assert "choose one with --method" in str(run(*words).exception)
    assert run(*words, "--method", "verbalized").exit_code == 0
    assert list(read_rows(tmp_path / "o.csv", group="id").groups) == [f"x{i}" for i in range(40)]


@pytest.mark.parametrize(("words", "message"), [
    (("-o", "o.xlsx"), "'o.xlsx' does not have the suffix of a table: use .csv"),
    (("-o", "o.csv", "--clip", "0.9"), "give a number between 0 and 0.5"),
    (("-o", "o.csv", "--map", "isotonic", "--clip", "0.1"), "leave clip out"),
    (("-o", "o.csv", "--rows", "nothing"), "there is no column 'nothing'"),
])  # fmt: skip
def test_what_cannot_be_done_is_a_sentence(tables, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    ended = run(*tables, *words)
    assert isinstance(ended.exception, ValueError) and message in str(ended.exception)
    assert not (tmp_path / "o.csv").exists()
