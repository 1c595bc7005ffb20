"""The golden cases: ours answers all of them, and the table tells right from wrong."""

import json
import warnings

import numpy as np
import pytest

from calib_metrics.conformance import cases as cases_module
from calib_metrics.conformance import run, table
from calib_metrics.conformance.cases import Case, is_right, load_cases
from calib_metrics.conformance.libraries import NAMES, lm_eval, netcal, scikit_learn
from calib_metrics.conformance.libraries._inputs import NotOffered, fit_rows, need, option_rows

CASES = {case.id: case for case in load_cases()}
README = cases_module.CASES_FILE.with_name("README.md")


def a_case(expected, *also, tolerance=1e-6, **changes):
    fields = {"id": "x", "metric": "ece", "title": "a title", "inputs": {}, "options": {}}
    return Case(
        **{**fields, **changes}, expected=expected, also=also, tolerance=tolerance, why="by hand"
    )


@pytest.fixture(scope="module")
def our_answers():
    return run.ask("ours")["answers"]


@pytest.mark.parametrize("name", CASES)
def test_calib_metrics_answers_every_case(name, our_answers):
    case, answer = CASES[name], our_answers[name]
    assert "not_offered" not in answer
    assert is_right(case, answer), f"{answer} should be {case.expected}: {case.why}"
    # A refusal is a sentence for the user, not a crash that happens to stop the program.
    assert answer.get("error", "ValueError").startswith("ValueError")


@pytest.mark.parametrize("name", CASES)
def test_an_undefined_score_comes_with_a_warning(name, our_answers):
    if our_answers[name].get("value") == "nan":
        assert "undefined" in our_answers[name]["warned"]


def test_cases_are_many_distinct_and_derived():
    loaded = load_cases()
    assert len(loaded) >= 30
    assert len({case.id for case in loaded}) == len(loaded)
    assert len({case.title for case in loaded}) == len(loaded)
    assert all(len(case.why) > 10 and case.tolerance > 0 for case in loaded)


def test_scikit_learn_agrees_with_the_cases_it_can_answer():
    for case in CASES.values():
        if case.metric not in ("brier", "nll", "auroc", "average_precision"):
            continue
        answer = run._answer(scikit_learn.ADAPTERS, case)
        assert table.verdict(scikit_learn, case, answer) in ("right", "different"), case.id


@pytest.mark.parametrize(
    ("case", "outcome", "right"),
    [
        (a_case(0.5), {"value": 0.5000001}, True),
        (a_case(0.5), {"value": 0.51}, False),
        (a_case(0.5, tolerance=0.1), {"value": 0.51}, True),
        (a_case(0.5), {"value": "nan"}, False),
        (a_case(0.5), {"error": "ValueError: no"}, False),
        (a_case(0.5, 0.7), {"value": 0.7}, True),
        (a_case("nan", "error"), {"value": "nan"}, True),
        (a_case("nan", "error"), {"error": "ValueError: no"}, True),
        (a_case("nan"), {"value": 0.0}, False),
        (a_case("inf"), {"value": "inf"}, True),
        (a_case("inf"), {"value": "-inf"}, False),
        (a_case("inf"), {"value": 1e300}, False),
        (a_case("error"), {"value": "nan"}, False),
        (a_case([0.5, 0.7]), {"value": [0.5, 0.7]}, True),
        (a_case([0.5, 0.7]), {"value": [0.5]}, False),
        (a_case([0.5]), {"value": 0.5}, False),
        (a_case(0.5), {"value": [0.5]}, False),
    ],
)
def test_an_answer_is_right_only_if_it_is_what_was_asked(case, outcome, right):
    assert is_right(case, outcome) is right


def test_values_survive_the_way_through_strict_json():
    values = [0.1, np.float32(0.5), np.nan, np.inf, -np.inf, [np.float64(1), np.nan]]
    text = json.dumps([run._plain(value) for value in values], allow_nan=False)
    assert json.loads(text) == [0.1, 0.5, "nan", "inf", "-inf", [1.0, "nan"]]


def test_a_crash_is_an_answer_and_only_warnings_about_the_input_are_kept():
    def warns(text):
        def adapter(inputs, options):
            warnings.warn(text, stacklevel=1)
            return 1.0

        return run._answer({"auroc": adapter}, CASES["auroc-all-tied"])

    assert warns("undefined for one class")["warned"] == "undefined for one class"
    assert warns("this function is deprecated") == {"value": 1.0}
    answer = run._answer({"auroc": lambda inputs, options: 1 / 0}, CASES["auroc-all-tied"])
    assert answer["error"].startswith("ZeroDivisionError")


def test_a_case_file_with_a_wrong_key_is_refused_by_line(tmp_path):
    path = tmp_path / "cases.jsonl"
    good = json.loads(cases_module.CASES_FILE.read_text(encoding="utf-8").splitlines()[0])
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "note": ""}) + "\n")
    with pytest.raises(ValueError, match="line 2"):
        load_cases(path)


def test_what_a_library_does_not_offer_is_no_failure():
    with pytest.raises(NotOffered):
        need({"strategy": "mass"}, strategy=["width"])
    with pytest.raises(NotOffered):
        need({"debias": True}, bins=[10])
    with pytest.raises(NotOffered):
        option_rows({"probabilities": [[0.5, 0.5], [0.2, 0.3, 0.5]], "gold": [0, 1]})
    for adapters in (netcal.ADAPTERS, lm_eval.ADAPTERS):
        answer = run._answer(adapters, CASES["auroc-ties-half"])
        assert table.verdict(netcal, CASES["auroc-ties-half"], answer) == "not offered"


def test_options_reach_the_library_and_missing_values_are_nan():
    inputs = {"fit": {"confidence": [0.5, None], "correct": [1, 0]}, "apply": [0.25]}
    confidence, correct, new = fit_rows(inputs, {"dtype": "float32"})
    assert confidence.dtype == new.dtype == np.float32
    assert np.isnan(confidence[1]) and correct.tolist() == [1, 0]


def test_a_library_that_cannot_be_imported_is_listed_as_such(monkeypatch):
    monkeypatch.setattr(netcal, "MODULE", "no_such_module")
    result = run.ask("netcal")
    assert result["version"] is None and "no_such_module" in result["reason"]
    text = table.markdown(load_cases(), {"netcal": result})
    assert "Not run: netcal (ModuleNotFoundError" in text


def test_a_process_that_dies_is_a_result():
    result = run.ask_in_a_process("no_such_library")
    assert result["version"] is None and "exited with status 1" in result["reason"]


def test_the_table_tells_right_wrong_and_otherwise_documented(monkeypatch):
    right, wrong, other, absent, warns = (
        a_case(0.475, id=word, title=f"the {word} one")
        for word in ("right", "wrong", "other", "absent", "warns")
    )
    monkeypatch.setattr(netcal, "DIFFERENT", {"other": "says so."}, raising=False)
    answers = {
        "right": {"value": 0.475, "warned": "w"},
        "wrong": {"error": "TypeError: no"},
        "other": {"value": 0.5},
        "absent": {"not_offered": "ece"},
        "warns": {"value": 0.0, "warned": "meaningless"},
    }
    results = {"netcal": {"version": "9.9", "reason": "", "answers": answers}}
    text = table.markdown([right, wrong, other, absent, warns], results)
    for line in (
        "| 9.9 | 4 | 1 | 1 | 2 |",
        "| the right one | 0.475 | ✓ |",
        "| the wrong one | 0.475 | ✗ error |",
        "| the other one | 0.475 | ≠ 0.5 (1) |",
        "| the absent one | 0.475 | – |",
        "| the warns one | 0.475 | ✗ 0 (warns) |",
        "1. netcal: says so.",
    ):
        assert line in text


def test_the_readme_keeps_its_text_around_the_table():
    result = {"netcal": {"version": None, "reason": "absent", "answers": {}}}
    text = README.read_text(encoding="utf-8")
    new = table.rewrite_readme(text, result)
    assert new.startswith(text[:200]) and new.endswith(text[-200:])
    assert "Not run: netcal" in new
    with pytest.raises(ValueError, match="lost its marks"):
        table.rewrite_readme("no marks here", result)


def test_the_published_table_has_every_case_and_library():
    text = README.read_text(encoding="utf-8")
    for case in CASES.values():
        assert f"| {case.title} |" in text, f"{case.id}: run the command that README.md names"
    assert f"| {len(CASES)} | {len(CASES)} | 0 | 0 |" in text  # calib_metrics
    for name in NAMES:
        library = __import__(f"calib_metrics.conformance.libraries.{name}", fromlist=["NAME"])
        assert library.NAME in text


def test_the_command_asks_in_processes_merges_and_writes(tmp_path, capsys):
    merged, written = tmp_path / "there.json", tmp_path / "here.json"
    answers = {name: {"not_offered": "ece"} for name in CASES}
    merged.write_text(json.dumps({"netcal": {"version": "9.9", "reason": "", "answers": answers}}))
    run.main(["--library", "ours", "--merge", str(merged), "--json", str(written)])
    results = json.loads(written.read_text(encoding="utf-8"))
    assert list(results) == ["ours", "netcal"]
    assert set(results["ours"]["answers"]) == set(CASES)
    assert "9.9" in capsys.readouterr().out
