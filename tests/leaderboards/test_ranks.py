"""Ranks by paired tests, default settings, and rows that rest on too little."""

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

import calib_metrics
from calib_leaderboards.store.samples import Samples
from calib_leaderboards.tables.of_entry import rows_of
from calib_leaderboards.tables.paired import Column, column_of, paired_p, unpaired_p
from calib_leaderboards.tables.rows import best_first, table_rows
from calib_leaderboards.tables.settings import default_setting
from calib_leaderboards.tables.table import tables_of
from helpers.board_entries import make_entry, make_samples, samples_with


def column(confidence, correct, start=0):
    ids = tuple(f"q{i:05d}" for i in range(start, start + len(correct)))
    names = ids, ids
    return Column(names, np.asarray(confidence, float), np.asarray(correct, float))


def scored(samples, method):
    """The scores of a method as entries hold them, from its samples."""
    found = calib_metrics.score(
        samples.confidence[method], samples.correct, ("brier_skill", "ece", "auroc"), resamples=200
    )
    return {name: (score.value, score.low, score.high) for name, score in found.items()}


def test_on_the_same_answers_it_is_the_t_test_of_the_squared_errors():
    rng = np.random.default_rng(0)
    correct = rng.integers(0, 2, 400).astype(float)
    one = np.clip(0.3 + 0.3 * correct + rng.normal(0, 0.2, 400), 0, 1)
    other = np.clip(one + rng.normal(0, 0.05, 400), 0, 1)
    expected = ttest_rel((one - correct) ** 2, (other - correct) ** 2).pvalue
    # Apart from the share of right answers, which varies with the sample too: a part in hundreds.
    assert paired_p(column(one, correct), column(other, correct)) == pytest.approx(
        expected, abs=0.01
    )


def test_on_other_answers_its_standard_error_is_that_of_a_bootstrap_of_both_skills():
    rng = np.random.default_rng(1)
    n = 500
    answers = [(rng.random(n) < rate).astype(float) for rate in (0.4, 0.5)]
    sides = [np.clip(0.3 + 0.3 * y + rng.normal(0, 0.2, n), 0, 1) for y in answers]

    def skill(rows):
        return [
            1 - np.mean((c[rows] - y[rows]) ** 2) / (y[rows].mean() * (1 - y[rows].mean()))
            for c, y in zip(sides, answers, strict=True)
        ]

    drawn = np.array([skill(rng.integers(0, n, n)) for _ in range(3000)])
    whole = skill(np.arange(n))
    z = abs(whole[1] - whole[0]) / np.std(drawn[:, 1] - drawn[:, 0])
    found = paired_p(*(column(c, y) for c, y in zip(sides, answers, strict=True)))
    assert norm.isf(found / 2) == pytest.approx(z, rel=0.06)


def test_methods_that_are_equally_good_are_told_apart_in_about_5_of_100_samples():
    rng = np.random.default_rng(2)
    alarms = []
    for _ in range(1500):
        p = rng.uniform(0.05, 0.95, 200)
        correct = (rng.random(200) < p).astype(float)
        sides = [np.clip(p + rng.normal(0, 0.1, 200), 0, 1) for _ in "ab"]
        alarms.append(paired_p(*(column(side, correct) for side in sides)) <= 0.05)
    assert 0.03 <= np.mean(alarms) <= 0.07


def test_only_questions_that_both_answer_with_a_confidence_count():
    rng = np.random.default_rng(3)
    correct = rng.integers(0, 2, 60).astype(float)
    one, other = rng.random(60), rng.random(60)
    whole = paired_p(column(one, correct), column(other, correct))
    missing = np.append(other, [np.nan, np.nan])
    longer = column(missing, np.append(correct, [1, 0]))
    assert paired_p(column(one, correct), longer) == pytest.approx(whole, abs=1e-12)
    assert paired_p(column(one, correct), column(other, correct, start=900)) is None


def test_equal_columns_are_equal_and_without_samples_the_standard_errors_decide():
    correct = np.array([0.0, 1, 1, 0])
    same = column([0.1, 0.8, 0.7, 0.3], correct)
    assert paired_p(same, same) == 1
    one = (
        make_entry(methods={"likelihood": {"ece": (0.10, 0.08, 0.12)}})[0].scores[0].metrics["ece"]
    )
    two = (
        make_entry(methods={"likelihood": {"ece": (0.14, 0.12, 0.16)}})[0].scores[0].metrics["ece"]
    )
    # Each standard error is 0.04 / 3.92; 0.04 is 2.77 of the difference's.
    assert unpaired_p(one, two) == pytest.approx(2 * norm.sf(3.92 / np.sqrt(2)), abs=1e-12)


def ranked(columns, correct):
    """Ranks of methods, best first, of one entry with these confidences."""
    samples = samples_with(correct, columns)
    entry = make_entry(methods={name: scored(samples, name) for name in columns})[0]
    rows = table_rows([entry], lambda entry: samples)
    return {row.score.method: row.rank for row in best_first(rows, "brier_skill")}


def test_rows_share_a_rank_until_a_test_tells_them_apart():
    rng = np.random.default_rng(4)
    p = rng.uniform(0.02, 0.98, 800)
    correct = (rng.random(800) < p).astype(float)
    found = ranked(
        {
            "likelihood": np.clip(p + rng.normal(0, 0.02, 800), 0, 1),
            "sampling": np.clip(p + rng.normal(0, 0.02, 800), 0, 1),
            "verbalized": np.clip(p + 0.25, 0, 1),
            "question_only": np.full(800, 0.5),
        },
        correct,
    )
    assert found == {"likelihood": 1, "sampling": 1, "verbalized": 3, "question_only": None}


def test_a_long_slope_of_rows_that_are_like_their_neighbours_is_no_single_rank():
    """Each row is a little worse than the one above: the first of a rank is tested, too."""
    rng = np.random.default_rng(5)
    p = rng.uniform(0.02, 0.98, 300)
    correct = (rng.random(300) < p).astype(float)
    noise = rng.normal(0, 0.45, 300)
    columns = {f"m{i:02d}": np.clip(p + i / 30 * noise, 0, 1) for i in range(30)}
    found = list(ranked(columns, correct).values())
    assert found[0] == 1 and found[-1] > 1


@pytest.mark.parametrize("right", [0, 4, 9, 10, 391, 396])
def test_a_row_with_fewer_than_ten_right_or_wrong_answers_has_no_rank(right):
    correct = (np.arange(400) < right).astype(float)
    samples = samples_with(correct, {"likelihood": np.linspace(0.99, 0.01, 400)})
    methods = {"likelihood": {"brier_skill": (0.1, 0.0, 0.2), "auroc": (1.0, 1.0, 1.0)}}
    (row,) = table_rows([make_entry(methods=methods, samples=samples)[0]])
    assert row.few == (right != 10)
    assert row.rank == (None if row.few else 1)


def entry(setting, adapter=None, task="calib_worldfacts"):
    methods = {"likelihood": {"brier_skill": (0.1, 0.0, 0.2)}}
    return make_entry(task=task, setting=setting, adapter=adapter, methods=methods)[0]


def default_of(*entries):
    return default_setting([rows_of(entry, "")[0] for entry in entries])


def mains(*entries):
    return sorted(row.entry.setting.slug for row in table_rows(entries) if row.main)


def test_the_default_setting_is_the_one_that_the_tasks_file_declares():
    others = [entry(slug) for slug in ("0-shot", "0-shot_chat", "3-shot_chat", "3-shot_k-20")]
    assert mains(entry("3-shot"), *others) == ["3-shot"]
    (table,) = tables_of(table_rows([entry("3-shot"), *others]))
    assert table.setting == "3-shot" and len(table.best_first) == 1 and len(table.folded) == 4
    assert default_of(entry("0-shot"), entry("5-shot", task="calib_nq_open")) == "0-shot"
    assert default_of(*(entry(slug, task="calib_nq_open") for slug in ("0-shot", "5-shot"))) == (
        "5-shot"
    )


def test_a_method_that_was_only_asked_with_options_stands_in_the_main_table_all_the_same():
    assert mains(entry("3-shot_k-20"), entry("0-shot_k-20")) == ["3-shot_k-20"]
    twice = entry("3-shot_k-20"), entry("3-shot_k-20_weighting-likelihood")
    assert mains(*twice) == ["3-shot_k-20"]
    judged = entry("3-shot_frozen-0123abcd", "tuned")
    assert mains(entry("3-shot_k-20"), judged) == ["3-shot_frozen-0123abcd", "3-shot_k-20"]


def test_of_other_tasks_it_is_that_of_most_entries_that_ask_plainly():
    slugs = ("0-shot_chat", "0-shot_chat_k-2", "5-shot", "0-shot")
    entries = [entry(slug, task="mine") for slug in slugs]
    assert default_of(*entries) == "0-shot"
    assert default_of(*entries, entry("5-shot", "tuned", "mine")) == "5-shot"
    assert default_of(*entries[:1]) == "0-shot_chat"


def test_an_adapter_stands_with_what_it_says_of_the_models_own_answers():
    assert mains(
        entry("3-shot"), entry("3-shot", "tuned"), entry("3-shot_frozen-0123abcd", "tuned")
    ) == [
        "3-shot",
        "3-shot_frozen-0123abcd",
    ]


def test_preview_runs_have_a_default_setting_too():
    assert mains(entry("preview-25-of-796_3-shot"), entry("preview-25-of-796_3-shot_chat")) == [
        "preview-25-of-796_3-shot"
    ]


def test_stock_scores_are_ranked_by_their_values():
    rng = np.random.default_rng(6)
    ids = tuple(f"{i:04d}" for i in range(300))
    made = {}
    for name, values in (("org/a", rng.random(300)), ("org/b", rng.random(300) / 2)):
        kept = Samples(ids, ids, None, None, {}, {"f1,none": values})
        mean = float(values.mean())
        made[name] = make_entry(
            model=name, task="squad", source="lm_eval", higher={"f1": True},
            methods={"none": {"f1": (mean, mean - 0.03, mean + 0.03)}},
        )[0], kept  # fmt: skip
    rows = table_rows([e for e, _ in made.values()], lambda e: made[e.model.name][1])
    assert {row.entry.model.name: row.rank for row in rows} == {"org/a": 1, "org/b": 2}
    columns = [column_of(kept, "none", "f1") for _, kept in made.values()]
    expected = ttest_rel(*(column.outcome for column in columns)).pvalue
    assert paired_p(*columns) == pytest.approx(expected, rel=1e-9)


def test_only_rows_about_the_same_questions_are_ranked_against_each_other():
    one, other = (
        make_entry(task=task, methods={"likelihood": {"brier_skill": (value, value, value)}})[0]
        for task, value in (("calib_a", 0.4), ("calib_b", 0.1))
    )
    assert [row.rank for row in table_rows([one, other])] == [1, 1]


def test_rows_without_a_value_have_no_rank():
    methods = {"likelihood": {"brier_skill": (None, None, None)}}
    samples = make_samples(["likelihood"], 40, 0)
    (row,) = table_rows([make_entry(methods=methods, samples=samples)[0]])
    assert row.rank is None
