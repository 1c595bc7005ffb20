"""`calibench score LOG`: samples that lm-eval logged, their JSON and their figures."""

import gzip
import json

import pytest

from calib_metrics import Score, score
from harness_tasks.elicitation.records import Record
from helpers.score_command import (
    CONFIDENCE,
    CORRECT,
    CSV,
    EXPECTED,
    FEW,
    a_file,
    json_lines,
    run,
    values,
)


def test_group_of_a_log_is_a_field_of_its_question(tmp_path):
    output = run(a_log(tmp_path), "--method", "likelihood", "--group", "relation", *FEW)
    assert "|clusters:2" in output


def a_log(tmp_path):
    """Write what lm-eval logs for two methods; the second gave no number once."""
    confidences = {"likelihood": CONFIDENCE, "verbalized": [1.0, 1.0, None, 1.0]}
    rows = [
        {
            "doc_id": place,
            "doc": {"id": str(place), "relation": "ab"[place % 2]},
            "resps": [[" Paris"], ["90%"]],
            "filtered_resps": [
                str(
                    Record(
                        task="t",
                        split="test",
                        id=str(place),
                        method=method,
                        question="q",
                        answer="a",
                        correct=correct,
                        confidence=confidence,
                        reason=None if confidence is not None else "no number",
                    )
                ),
                "None",
            ],
            "filter": method,
            "acc": correct,
        }
        for method, column in confidences.items()
        for place, (confidence, correct) in enumerate(zip(column, CORRECT, strict=True))
    ]
    return a_file(tmp_path, json_lines(rows), "samples_t_2026.jsonl")


def test_every_method_of_a_log_is_scored(tmp_path):
    path = a_log(tmp_path)
    output = run(path, *FEW)
    first, second = output.split(f"{path.name}, verbalized\n")
    assert first.startswith(f"{path.name}, likelihood\n")
    assert values(first).items() >= EXPECTED.items() and "conf:likelihood|" in first
    # Of three at confidence 1, one wrong.
    assert values(second).items() >= {"ece": "0.3333", "answered": "0.7500"}.items()
    assert run(path, *FEW, "--method", "verbalized").endswith(second)


def test_what_is_not_in_a_log_is_refused(tmp_path):
    path = a_log(tmp_path)
    with pytest.raises(ValueError, match="no method 'sampling', only likelihood, verbalized"):
        run(path, "--method", "sampling")
    with pytest.raises(ValueError, match="no field 'subject', only id, relation"):
        run(path, "--group", "subject")
    packed = a_file(tmp_path, gzip.compress(path.read_bytes()), "samples.jsonl.gz")
    for name, stdin in (("-", path.read_bytes()), (packed, None)):
        with pytest.raises(ValueError, match="give the path of the unpacked file"):
            run(name, stdin=stdin)
    stock = {"doc_id": 0, "doc": {}, "resps": [["A"]], "filtered_resps": ["A"], "filter": "none"}
    foreign = json_lines([{**stock, "acc": 1}])
    with pytest.raises(ValueError, match="scored by acc, and the log holds no confidence"):
        run(a_file(tmp_path, foreign, "samples_mmlu.jsonl"))


def test_a_log_that_lost_rows_or_has_some_twice_is_refused(tmp_path):
    path = a_log(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines, lines[1]]), encoding="utf-8")
    with pytest.raises(ValueError, match="line 9: id '1' appears twice under the filter"):
        run(path)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(ValueError, match="are not about the same questions \\(4 and 3\\)"):
        run(path)
    path.write_text("".join(lines[:3] + lines[4:7]), encoding="utf-8")
    assert "likelihood" in run(path, *FEW)  # nothing says how many there were
    counts = {"n-samples": {"t": {"original": 4, "effective": 4}}}
    a_file(tmp_path, json.dumps(counts), "results_2026.json")
    with pytest.raises(ValueError, match="samples of 3 questions, but 'results_2026.json' .* 4"):
        run(path)


def test_a_log_without_a_grade_or_a_question_of_its_own_is_no_traceback(tmp_path):
    path = a_log(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(json_lines({**json.loads(line), "doc": None} for line in lines))
    assert values(run(path, "--method", "likelihood", *FEW)).items() >= EXPECTED.items()
    with pytest.raises(ValueError, match="no field 'relation'"):
        run(path, "--group", "relation")
    ungraded = [
        line.replace('correct\\": 1', 'correct\\": null').replace(
            'correct\\": 0', 'correct\\": null'
        )
        for line in lines
    ]
    path.write_text("\n".join(ungraded), encoding="utf-8")
    with pytest.raises(ValueError, match="no answer in it is graded"):
        run(path)


@pytest.mark.filterwarnings("ignore:auroc was undefined")
def test_json_holds_the_scores_and_replaces_the_file_whole(tmp_path):
    target = tmp_path / "out" / "scores.json"
    paths = a_log(tmp_path), a_file(tmp_path, "confidence,correct\n1.0,0\n1.0,0\n")
    run(*paths, "--metrics", "nll,auroc,ece", "--json", target, *FEW)
    document = json.loads(target.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    methods = [(each["file"], each["method"]) for each in document["reports"]]
    log = paths[0].name
    assert methods == [(log, "likelihood"), (log, "verbalized"), ("answers.csv", "")]
    one, _, other = document["reports"]
    scores = {name: Score.from_dict(each) for name, each in one["scores"].items()}
    expected = score(
        CONFIDENCE, CORRECT, ("nll", "auroc", "ece"), method="likelihood", resamples=20
    )
    assert scores == expected and list(scores) == list(expected)
    assert other["scores"]["nll"]["value"] == "inf" and other["scores"]["auroc"]["value"] is None
    assert any("AUROC is undefined" in note for note in other["notes"])
    assert one["noise_floor"]["draws"] == 20
    assert [each.name for each in target.parent.iterdir()] == ["scores.json"]


def test_figures_are_drawn_for_every_method(tmp_path):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "figures"
    output = run(a_log(tmp_path), "--figures", folder, "--metrics", "acc", *FEW)
    assert list(values(output.split("\n\n  acc|")[0])) == ["acc", "ece", "auroc", "aurc"]
    stems = ["risk_coverage", "roc"]
    stems += [f"samples_t_2026_{m}_reliability" for m in ("likelihood", "verbalized")]
    assert sorted(each.name for each in folder.iterdir()) == sorted(
        f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")
    )


def test_files_of_one_name_do_not_overwrite_each_others_figures(tmp_path):
    pytest.importorskip("matplotlib")
    for folder in "ab":
        (tmp_path / folder).mkdir()
    paths = [a_file(tmp_path / folder, CSV) for folder in "ab"]
    run(*paths, "--figures", tmp_path / "figures", "--resamples", "0")
    assert len(list((tmp_path / "figures").glob("*_reliability*.png"))) == 2
