"""The overview: mean skill over tasks, its interval, and which means may be compared."""

import numpy as np
import pytest

import calib_metrics
from calib_leaderboards.tables.overview import (
    RESAMPLES,
    compared,
    interval_of,
    overview_pairs,
    skill_draws,
    skills_of,
)
from calib_leaderboards.tables.rows import table_rows
from calib_leaderboards.tables.table import tables_of
from helpers.board_entries import make_entry, make_samples, samples_with


def board(*entries):
    """The overview of (model, task, samples) with the scores that the samples have."""
    kept, made = {}, []
    for model, task, samples in entries:
        methods = {}
        for name, confidence in samples.confidence.items():
            found = calib_metrics.score(confidence, samples.correct, ("brier_skill",), resamples=50)
            methods[name] = {
                key: (score.value, score.low, score.high) for key, score in found.items()
            }
        entry = make_entry(model=model, task=task, methods=methods, samples=samples)[0]
        made.append(entry)
        (key,) = {row.key for row in table_rows([entry])}
        kept[key] = samples
    tables = tables_of(table_rows(made))
    core, used = compared({table.group: skills_of(table.rows) for table in tables})
    draws = {who: np.zeros(RESAMPLES) for who in used}
    for group in {group for rows in used.values() for group in rows}:
        rows = [rows[group] for rows in used.values() if group in rows]
        for place, drawn in skill_draws(group, rows, lambda row: kept[row.key]):
            draws[rows[place].who] += drawn
    intervals = {who: interval_of(sums / len(used[who])) for who, sums in draws.items()}
    return core, overview_pairs(core, used, intervals)


def test_a_mean_is_that_of_the_skills_and_its_interval_that_of_a_plain_bootstrap():
    parts = [make_samples(["likelihood"], n, seed) for seed, n in enumerate((150, 400, 90))]
    core, (pair,) = board(*(("org/a", f"calib_{i}", part) for i, part in enumerate(parts)))
    columns = [(part.confidence["likelihood"], part.correct) for part in parts]
    assert len(core) == 3 and pair.whole and pair.tasks == 3
    assert pair.value == pytest.approx(np.mean([calib_metrics.brier_skill(*c) for c in columns]))
    rng = np.random.default_rng(9)
    drawn = []
    for _ in range(3000):
        skills = []
        for confidence, correct in columns:  # questions are drawn within each task
            rows = rng.integers(0, correct.size, correct.size)
            y = correct[rows]
            skills.append(1 - np.mean((confidence[rows] - y) ** 2) / (y.mean() * (1 - y.mean())))
        drawn.append(np.mean(skills))
    assert (pair.low, pair.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_a_pair_with_fewer_tasks_stands_last_with_the_mean_over_its_own():
    whole = make_samples(["likelihood"], 100, 1)
    lucky = samples_with(whole.correct, {"likelihood": whole.correct * 0.9 + 0.05})
    core, pairs = board(
        ("org/a", "calib_0", whole), ("org/a", "calib_1", whole),
        ("org/b", "calib_0", whole), ("org/b", "calib_1", whole),
        ("org/lucky", "calib_0", lucky),
    )  # fmt: skip
    assert [group[0] for group in core] == ["calib_0", "calib_1"]
    assert [(pair.model, pair.whole, pair.tasks) for pair in pairs] == [
        ("org/a", True, 2),
        ("org/b", True, 2),
        ("org/lucky", False, 1),
    ]
    assert pairs[2].value > pairs[0].value and pairs[2].above == 1


def test_a_skill_that_is_shown_as_0_does_not_count_as_one_above_0():
    whole = make_samples(["likelihood"], 400, 1)
    right = np.asarray(whole.correct, dtype=float)
    near = {"likelihood": right.mean() + (right - right.mean()) / 9999}
    _, pairs = board(
        ("org/a", "calib_0", samples_with(whole.correct, near)), ("org/b", "calib_0", whole)
    )
    found = {pair.model: pair for pair in pairs}
    assert 0 < found["org/a"].value < 0.0005 and found["org/a"].above == 0
    assert found["org/b"].value > 0.0005 and found["org/b"].above == 1


def test_one_model_on_many_tasks_of_its_own_does_not_decide_what_is_compared():
    samples = make_samples(["likelihood"], 60, 2)
    shared = [(f"org/{name}", "calib_0", samples) for name in "abcdefgh"]
    alone = [("org/a", f"calib_{i}", samples) for i in range(1, 6)]
    core, pairs = board(*shared, *alone)
    assert [group[0] for group in core] == ["calib_0"]
    assert all(pair.whole and pair.tasks == 1 for pair in pairs)


def test_two_models_are_compared_on_what_both_have():
    samples = make_samples(["likelihood", "sampling", "verbalized"], 60, 2)
    alone = [("org/a", f"calib_{i}", samples) for i in range(12)]
    core, pairs = board(*alone, ("org/b", "calib_0", samples))
    assert [group[0] for group in core] == ["calib_0"]
    assert all(pair.whole and pair.tasks == 1 for pair in pairs)


def test_missing_confidences_are_left_out_of_the_draws():
    samples = make_samples(["likelihood"], 200, 3)
    holes = samples.confidence["likelihood"].copy()
    holes[::3] = np.nan
    _, (pair,) = board(("org/a", "calib_0", samples_with(samples.correct, {"likelihood": holes})))
    given = ~np.isnan(holes)
    score = calib_metrics.score(holes[given], samples.correct[given], ("brier_skill",))
    found = score["brier_skill"]
    assert pair.value == pytest.approx(found.value)
    assert (pair.low, pair.high) == pytest.approx((found.low, found.high), abs=0.05)
    assert pair.low < pair.value < pair.high


def test_the_same_store_gives_the_same_overview_whatever_else_is_in_it():
    samples = make_samples(["likelihood"], 80, 4)
    _, (alone,) = board(("org/a", "calib_0", samples))
    _, pairs = board(("org/a", "calib_0", samples), ("org/b", "calib_9", samples))
    (again,) = (pair for pair in pairs if pair.model == "org/a")
    assert (alone.low, alone.high) == (again.low, again.high)
