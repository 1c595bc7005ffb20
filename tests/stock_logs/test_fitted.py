"""`calibench score --validation`: what is fitted on other rows than those that are scored."""

import copy
import json
import re

import datasets
import numpy as np
import pytest
from scipy.special import softmax

from calib_metrics import abstention_score, best_cutoff
from calib_metrics.conformal import fit_conformal
from harness_tasks.stock_logs import ours
from helpers import store_runs
from helpers.stock_logs import log, rows_of, run, scores, write_rows
from helpers.stock_runs import evaluate, save
from helpers.task_runs import ROWS, SPLITS, TASKS

CHOICE = "calib_openbookqa_mc"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
        return evaluate(tmp_path_factory.mktemp("stock"))


@pytest.fixture
def halves(results, tmp_path):
    """The rows of a stock log as two logs, of the even and of the odd rows."""
    rows = rows_of(log(save(copy.deepcopy(results), tmp_path / "run"), "exam_two"))
    for name, start in (("even", 0), ("odd", 1)):
        write_rows(tmp_path / f"{name}.jsonl", rows[start::2])
    return rows, tmp_path / "even.jsonl", tmp_path / "odd.jsonl"


def options(rows):
    """Softmax over lm-eval's logged likelihoods, and the right options."""
    replies = [[float(reply[0]) for reply in row["filtered_resps"]] for row in rows]
    return [softmax(values) for values in replies], [int(row["target"]) for row in rows]


def test_sets_and_cutoffs_of_a_stock_log_are_those_fitted_on_the_other(halves, tmp_path):
    rows, even, odd = halves
    asked = ("--method", "acc", "--validation", odd, "--alpha", 0.3, "--metrics", "acc")
    (found,) = scores(tmp_path, even, *asked).values()
    cal, cal_gold = options(rows[1::2])
    new, gold = options(rows[::2])
    for name in ("lac", "aps"):
        sets = fit_conformal(cal, cal_gold, score=name, alpha=0.3).sets(new)
        held = np.mean([inside[place] for inside, place in zip(sets, gold, strict=True)])
        size = np.mean([inside.sum() for inside in sets])
        assert found[f"{name}_coverage"] == pytest.approx(held)
        assert found[f"{name}_size"] == pytest.approx(size)
        assert found[f"{name}_uacc"] == pytest.approx(found["acc"] / size * 4**0.5)
    right = [int(np.argmax(p) == place) for p, place in zip(cal, cal_gold, strict=True)]
    cutoff = best_cutoff([p.max() for p in cal], right, threshold=0.5).cutoff
    tops = [p.max() for p in new]
    correct = [int(np.argmax(p) == place) for p, place in zip(new, gold, strict=True)]
    expected = abstention_score(tops, correct, threshold=0.5, cutoff=cutoff)
    assert found["fitted_abstention_score@0.5"] == pytest.approx(expected)
    assert found["abstention_score@0.5"] == pytest.approx(
        abstention_score(tops, correct, threshold=0.5)
    )


def test_a_share_of_the_rows_is_fitted_on_and_the_others_scored(halves, tmp_path):
    rows, even, _ = halves
    printed = run(even, "--method", "acc", "--validation", 0.25, "--seed", 3)
    n = len(rows[::2])
    fit_n = round(0.25 * n)
    line = next(line for line in printed.splitlines() if line.startswith("  lac_size|"))
    assert f"fit_n:{fit_n}|" in line and f"n:{n - fit_n}|" in line
    assert line.endswith("|fit_share:0.25|fit_seed:3")
    assert printed != run(even, "--method", "acc", "--validation", 0.25, "--seed", 4)


def test_rows_that_are_scored_are_not_fitted_on(halves, tmp_path):
    rows, even, odd = halves
    with pytest.raises(ValueError, match="holds the rows that are scored"):
        run(even, "--method", "acc", "--validation", even)
    both = tmp_path / "both.jsonl"
    write_rows(both, rows)
    printed = run(even, "--method", "acc", "--validation", both)
    shared = len(rows[::2])
    assert re.sub(r"\s+", " ", printed).count(f"{shared} of {len(rows)} validation questions") == 1
    asked = ("--method", "acc", "--validation")
    (one,), (other,) = (scores(tmp_path, even, *asked, file).values() for file in (both, odd))
    assert one == other


def test_parts_are_scored_with_the_fit_of_all(halves, tmp_path):
    _, even, odd = halves
    lines = rows_of(even)
    for place, row in enumerate(lines):
        row["doc"]["kind"] = "ab"[place % 2]
    write_rows(even, lines)
    found = scores(tmp_path, even, "--method", "acc", "--validation", odd, "--by", "kind")
    whole, a, b = (found[name, "acc"]["lac_coverage"] for name in (even.name, "a", "b"))
    sizes = [len(lines[start::2]) for start in (0, 1)]
    assert whole == pytest.approx(np.average([a, b], weights=sizes))


@pytest.fixture(scope="module")
def our_log(tmp_path_factory):
    def rows(path, name=None, **_):
        made = [ROWS[path](i) for i in range(40)]
        return datasets.DatasetDict({s: datasets.Dataset.from_list(made) for s in SPLITS})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_runs, "made_up_rows", rows)
        folder = store_runs.evaluate(
            tmp_path_factory.mktemp("ours"),
            CHOICE,
            include=TASKS,
            metadata={"methods": ["likelihood", "zero_shot_classifier"]},
        )
    return store_runs.log_file(folder, CHOICE)


def test_a_calibench_log_of_multiple_choice_gives_its_options_again(our_log, tmp_path):
    table = next(ours.read_tables(our_log, method="likelihood"))
    column = table.columns["likelihood"]
    logged = [row for row in rows_of(our_log) if row["filter"] == "likelihood"]
    for row, shares, gold in zip(logged, column.probabilities, column.gold, strict=True):
        values = [float(response[0][0]) for response in row["resps"][:4]]
        assert shares == pytest.approx(softmax(values))
        assert gold == int(row["target"])
    printed = run(our_log, "--validation", 0.5)
    assert printed.count("lac_coverage|") == 1 and printed.count("fitted_abstention_score|") == 6


def test_options_that_contradict_the_record_are_not_taken(our_log, tmp_path):
    rows = rows_of(our_log)
    row = next(row for row in rows if row["filter"] == "likelihood")
    record = json.loads(row["filtered_resps"][0])
    row["filtered_resps"][0] = json.dumps({**record, "confidence": 0.123})
    write_rows(tmp_path / "changed.jsonl", rows)
    table = next(ours.read_tables(tmp_path / "changed.jsonl", method="likelihood"))
    assert table.columns["likelihood"].probabilities is None


def test_cutoffs_of_a_table(tmp_path):
    validation, test = tmp_path / "validation.csv", tmp_path / "test.csv"
    validation.write_text("confidence,correct\n0.2,0\n0.4,1\n0.3,0\n0.6,1\n")
    test.write_text("confidence,correct\n0.3,0\n0.36,1\n0.5,1\n,1\n")
    (found,) = scores(tmp_path, test, "--validation", validation).values()
    # On validation the answers from 0.4 on are the right ones; 0.35 lies halfway.
    assert found["fitted_abstention_score@0.75"] == pytest.approx(2 / 3)
    assert found["abstention_score@0.75"] == 0
    assert "lac_size" not in found


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--validation", "1.5"), "a share between 0 and 1"),
        (("--validation", "nowhere.csv"), "no such file"),
        (("--validation", "0.5", "--scale", "rank"), "ranks"),
        (("--validation", "0.01"), "leaves none"),
    ],
)
def test_what_cannot_be_fitted_is_a_sentence(tmp_path, words, why):
    table = tmp_path / "a.csv"
    table.write_text("confidence,correct\n0.2,0\n0.4,1\n")
    with pytest.raises(ValueError, match=why):
        run(table, *words)
