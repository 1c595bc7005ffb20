"""Pages of runs: scores as scikit-learn has them, and which rows share a table."""

import json
import re

import numpy as np
import pytest

from calib_leaderboards.runs import find_runs
from calib_leaderboards.store.make import make_all
from helpers.leaderboard_runs import (
    FEW,
    TASK,
    build,
    confidences,
    labels_of,
    questions,
    scores_of,
    sklearn_scores,
    values_of,
    write_adapter_run,
    write_run,
)

METHODS = ("likelihood", "zero_shot_classifier", "verbalized", "sampling")


# ------------------------------------------------------------------------------------------ scores


def test_scores_equal_those_of_scikit_learn(tmp_path):
    confidence, docs = confidences(), questions()
    write_run(tmp_path / "run", {"zero_shot_classifier": confidence}, docs)
    build([tmp_path / "run"], tmp_path / "out")
    expected = sklearn_scores(confidence, [doc["correct"] for doc in docs])
    got = values_of(tmp_path / "out")
    assert {name: got[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    row = scores_of(tmp_path / "out")["answered"]
    assert row["elicitation"] == "wording:yes_no" and row["n"] == "60" and row["value"] == "1.0"


def test_missing_confidences_are_left_out_of_the_scores_and_counted(tmp_path):
    confidence, docs = confidences(), questions()
    for i in (0, 7, 8):
        confidence[i] = None
    write_run(tmp_path / "run", {"verbalized": confidence}, docs)
    build([tmp_path / "run"], tmp_path / "out")
    kept = [(c, d["correct"]) for c, d in zip(confidence, docs, strict=True) if c is not None]
    got = values_of(tmp_path / "out")
    assert got["brier"] == pytest.approx(
        sklearn_scores(*zip(*kept, strict=True))["brier"], rel=1e-9
    )
    assert got["answered"] == pytest.approx(57 / 60)
    assert got["acc"] == pytest.approx(np.mean([doc["correct"] for doc in docs]))
    assert scores_of(tmp_path / "out")["brier"]["n_missing"] == "3"


def test_a_method_that_never_gives_a_confidence_still_has_a_row(tmp_path):
    undefined = {f"{name},verbalized": float("nan") for name in ("ece", "auroc", "brier")}
    write_run(tmp_path / "run", {"verbalized": [None] * 60}, summary=undefined)
    page = build([tmp_path / "run"], tmp_path / "out")
    assert scores_of(tmp_path / "out")["ece"]["value"] == ""
    assert "| Verbalized | undefined | undefined | undefined | undefined |" in page
    assert "Reliability" not in (tmp_path / "out/site/model/SmolLM2-135M-Instruct.html").read_text()


def test_reliability_bins_hold_every_row(tmp_path):
    confidence = [0.0, 0.05, 0.15, 1.0, 1.0, 0.95]
    docs = questions()[:6]
    for doc, right in zip(docs, [0, 1, 1, 1, 0, 1], strict=True):
        doc["correct"] = right
    write_run(tmp_path / "run", {"sampling": confidence}, docs)
    ((entry, _),) = make_all(find_runs([tmp_path]), **FEW).values()
    bins = entry.scores[0].reliability
    assert bins.count == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    assert bins.accuracy[0] == 0.5 and bins.accuracy[2] is None
    assert bins.accuracy[9] == pytest.approx(2 / 3)


def test_a_summary_that_disagrees_with_the_samples_is_refused(tmp_path):
    changed = {"ece,likelihood": 0.0123}
    results, _ = write_run(tmp_path / "run", {"likelihood": confidences()}, summary=changed)
    with pytest.raises(ValueError, match=r"ece,likelihood = 0\.0123.* give 0\.\d+") as error:
        build([tmp_path / "run"], tmp_path / "out")
    assert results.name in str(error.value)
    assert not (tmp_path / "out").exists()


def test_folders_without_results_or_logs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="No results_.*json below"):
        build([tmp_path], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="nowhere' is not a folder"):
        build([tmp_path / "nowhere"], tmp_path / "out")
    _, samples = write_run(tmp_path / "run", {"likelihood": confidences()})
    samples.unlink()
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        build([tmp_path], tmp_path / "out")


# -------------------------------------------------------------------------------------------- rows


def test_rows_have_the_labels_of_the_paper_and_bars_their_order(tmp_path):
    write_run(tmp_path / "base", {name: confidences(seed=i) for i, name in enumerate(METHODS)})
    tuned = ("question_only", "zero_shot_classifier", "verbalized")
    write_adapter_run(tmp_path / "tuned", {name: confidences() for name in tuned})
    build([tmp_path / "tuned", tmp_path / "base"], tmp_path / "out", train_accuracy=0.55)
    rows = labels_of(tmp_path / "out")
    sanity = {"Fine-Tuned (question only)", "Constant (train accuracy)"}
    frozen = {"Fine-Tuned", "Verbalized (adapter)", "Fine-Tuned (question only)"}
    bars = ["Likelihood", "Zero-Shot Classifier", "Verbalized", "Sampling"]
    bars += ["Fine-Tuned", "Verbalized (adapter)"]
    assert rows.keys() == {*bars, *sanity}
    assert {row["model"] for row in rows.values()} == {"SmolLM2-135M-Instruct"}
    assert {label for label, row in rows.items() if row["answers"] == "frozen"} == frozen
    assert {label for label, row in rows.items() if row["sanity"] == "true"} == sanity
    drawn = (tmp_path / f"out/figures/{TASK}_bars.svg").read_text(encoding="utf-8")
    for label in sanity:
        assert label not in drawn
    places = [drawn.index(part) for part in ("Likelihood<", "Sampling<", "Fine-Tuned<")]
    assert places == sorted(places)


def test_an_adapter_for_the_confidence_labels_only_what_it_was_asked(tmp_path):
    arguments = {"pretrained": "/m/SmolLM2-135M-Instruct", "confidence_adapter": "/x/my_adapter"}
    chosen = {name: confidences() for name in ("likelihood", "zero_shot_classifier", "sampling")}
    write_run(tmp_path / "run", chosen, model_args=arguments)
    build([tmp_path / "run"], tmp_path / "out")
    assert labels_of(tmp_path / "out").keys() == {"Likelihood", "Fine-Tuned", "Sampling"}


def test_the_constant_row_knows_the_rate_and_nothing_else(tmp_path):
    docs = questions()
    write_run(tmp_path / "base", {"likelihood": confidences()}, docs)
    write_adapter_run(tmp_path / "a_tuned", {"zero_shot_classifier": confidences(seed=2)}, docs)
    page = build([tmp_path], tmp_path / "out", train_accuracy=0.25)
    scores = scores_of(tmp_path / "out", method="constant")
    accuracy = np.mean([doc["correct"] for doc in docs])
    assert float(scores["auroc"]["value"]) == 0.5
    assert float(scores["ece"]["value"]) == pytest.approx(abs(accuracy - 0.25))
    assert float(scores["brier_skill"]["value"]) == pytest.approx(0, abs=1e-9)
    of_others = scores_of(tmp_path / "out", method="likelihood")["brier_skill"]
    assert "|base_rate:0.25|" in of_others["signature"]
    assert scores["ece"]["rank"] == "" and scores["ece"]["adapter"] == ""  # of the base model
    assert "| *Constant (train accuracy)* |" in page
    with pytest.raises(ValueError, match=r"train_accuracy is 1\.5"):
        build([tmp_path / "base"], tmp_path / "out", train_accuracy=1.5)


def test_several_models_are_also_drawn_side_by_side_by_the_methods_that_all_have(tmp_path):
    write_run(tmp_path / "one", {name: confidences() for name in ("verbalized", "likelihood")})
    build([tmp_path / "one"], tmp_path / "alone")
    assert not list((tmp_path / "alone/figures").glob("*_models.*"))
    methods = {name: confidences(seed=1) for name in ("sampling", "likelihood")}
    write_run(tmp_path / "two", methods, model_args={"pretrained": "org/Other"})
    build([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    drawn = (tmp_path / f"both/figures/{TASK}_models.svg").read_text(encoding="utf-8")
    assert "SmolLM2-135M-Instruct<" in drawn and "Other<" in drawn
    assert drawn.count("Likelihood<") == 2
    assert "Verbalized<" not in drawn and "Sampling<" not in drawn


def test_sanity_rows_alone_make_a_table_without_bars(tmp_path):
    write_run(tmp_path / "run", {"question_only": confidences()})
    page = build([tmp_path / "run"], tmp_path / "out")
    assert "| *Question only* |" in page and not (tmp_path / "out/figures").exists()


def test_own_and_frozen_answers_are_told_apart_and_bars_are_about_the_same_answers(tmp_path):
    write_run(tmp_path / "a", {"zero_shot_classifier": confidences()})
    write_adapter_run(tmp_path / "b", {"zero_shot_classifier": confidences(seed=2)})
    others = [{**doc, "answer": "other", "correct": 1 - doc["correct"]} for doc in questions()]
    own = {"answers": None, "stamp": "2025-01-04T00-00-00.000001"}
    write_adapter_run(tmp_path / "c", {"zero_shot_classifier": confidences(seed=3)}, others, **own)
    page = build([tmp_path], tmp_path / "out")
    assert "1 row in other settings" in page
    main, _, folded = page.partition("<details>")
    assert re.search(r"\| \d \| SmolLM2-135M-Instruct \| my_adapter \| Fine-Tuned \|", main)
    assert "| my_adapter | Fine-Tuned | 0-shot |" in folded
    for name in (f"{TASK}_bars.svg", "*_ece.svg"):
        (figure,) = (tmp_path / "out/figures").glob(name)
        text = figure.read_text(encoding="utf-8")
        assert "Fine-Tuned" in text and "shot" not in text  # one row has the label: no setting
    # Without a run on the base model's answers, the adapter's own are drawn.
    build([tmp_path / "a", tmp_path / "c"], tmp_path / "out")
    assert "Fine-Tuned<" in (tmp_path / f"out/figures/{TASK}_bars.svg").read_text(encoding="utf-8")


def test_several_models_share_a_table(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences()}, model_args="pretrained=org/one,a=1")
    write_run(tmp_path / "b", {"likelihood": confidences(seed=5)}, model_args="pretrained=org/two")
    page = build([tmp_path], tmp_path / "out")
    assert "| org/one |  | Likelihood |" in page and "| org/two |  | Likelihood |" in page
    assert page.count("## calib_worldfacts") == 1
    figure = (tmp_path / f"out/figures/{TASK}_bars.svg").read_text(encoding="utf-8")
    assert "org/one" in figure and "org/two" in figure


def test_tasks_of_lm_eval_stand_beside_ours(tmp_path):
    _, samples = write_run(tmp_path / "mmlu", {"none": confidences()}, task="mmlu_x")
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    text = "".join(json.dumps({**row, "filtered_resps": ["A"]}) + "\n" for row in rows)
    samples.write_text(text, encoding="utf-8")
    write_run(tmp_path / "ours", {"likelihood": confidences()})
    page = build([tmp_path], tmp_path / "out", train_accuracy=0.5)
    assert f"## {TASK}" in page and "## mmlu_x" in page
    (row,) = labels_of(tmp_path / "out", "mmlu_x").values()
    assert float(row["value"]) == pytest.approx(np.mean([doc["correct"] for doc in questions()]))


def test_runs_on_other_questions_do_not_share_a_table(tmp_path):
    write_run(tmp_path / "base", {"likelihood": confidences()})
    write_adapter_run(tmp_path / "tuned", {"likelihood": confidences(50)}, questions(50))
    page = build([tmp_path], tmp_path / "out")
    titles = re.findall(r"^## calib.*$", page, flags=re.MULTILINE)
    assert len(titles) == 2 and all("(questions " in title for title in titles)
    names = [path.name for path in (tmp_path / "out/figures").glob("*_bars.png")]
    assert len(names) == 2 and f"{TASK}_bars.png" in names


def test_the_same_run_twice_is_refused_but_overlapping_folders_are_not(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences()})
    build([tmp_path / "a", tmp_path], tmp_path / "out")
    write_run(tmp_path / "b", {"likelihood": confidences()}, stamp="2025-02-02T00-00-00.000001")
    with pytest.raises(ValueError, match="give only one of them"):
        build([tmp_path], tmp_path / "out")
