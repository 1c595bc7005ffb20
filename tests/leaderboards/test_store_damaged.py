"""Damaged results and logs: the store says what is wrong and where, and writes nothing."""

import json
import shutil

import pytest

from calib_leaderboards.store import add, read_entries
from helpers.store_runs import (
    CHOICE,
    FEW,
    OURS,
    change_record,
    change_results,
    entry_of,
    log_file,
    refused,
    results_file,
)

# ----------------------------------------------------------------------------------- broken results


def test_a_results_file_of_200_mb_is_refused_unread(ours, tmp_path):
    with results_file(ours).open("r+b") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(ValueError, match="has 209,715,200 bytes; results files .* far below"):
        add([ours], tmp_path / "s", **FEW)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not valid JSON"),
        (b'{"results": {', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"results": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[1, 2]", "expected a JSON object, found list"),
        (b"{}", "it has no mapping 'results'"),
        (b'{"results": {"a": 1}, "configs": {"a": {}}}', "it has no mapping 'config'"),
    ],
)
def test_a_broken_results_file_is_named(ours, tmp_path, content, message):
    results_file(ours).write_bytes(content)
    assert results_file(ours).name in refused(ours, tmp_path / "s", message)


SECTIONS = ["results", "configs", "config", "versions", "n-shot", "n-samples"]
OPTIONAL = [
    "higher_is_better",
    "task_hashes",
    "date",
    "pretty_env_info",
    "chat_template_sha",
    "total_evaluation_time_seconds",
    "lm_eval_version",
]


@pytest.mark.parametrize("odd", [None, "x", -1.5, {"x": []}], ids=repr)
def test_a_part_of_the_results_that_is_another_kind_of_thing_never_crashes(ours, tmp_path, odd):
    """Whatever stands there, an add is refused in a sentence or makes an entry that can be read."""
    change_results(ours, lambda r: r["results"].pop(CHOICE))
    original = results_file(ours).read_bytes()
    changes = [lambda r, key=key: r.update({key: odd}) for key in SECTIONS + OPTIONAL]
    changes += [
        lambda r, key=key: r[key].update({OURS: odd})
        for key in SECTIONS + OPTIONAL[:2]
        if key != "config"
    ]
    for key in (
        "model_args",
        "model",
        "model_dtype",
        "model_num_parameters",
        "gen_kwargs",
        "limit",
        "batch_size",
        "random_seed",
        "peft_sha",
    ):
        changes.append(lambda r, key=key: r["config"].update({key: odd}))
    for key in ("metadata", "metric_list", "output_type", "test_split"):
        changes.append(lambda r, key=key: r["configs"][OURS].update({key: odd}))
    for number, change in enumerate(changes):
        results_file(ours).write_bytes(original)
        store = tmp_path / f"s{number}"
        try:
            add([change_results(ours, change)], store, resamples=2)
        except (ValueError, FileNotFoundError) as error:
            assert str(results_file(ours).name) in str(error) or "samples_" in str(error)
            assert not store.exists()
        else:
            read_entries(store)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_printed_score_that_is_no_number_disagrees_with_one_that_is(ours, tmp_path, value):
    change_results(ours, lambda r: r["results"][OURS].update({"acc,sampling": value}))
    refused(ours, tmp_path / "s", r"gives acc,sampling = -?(nan|inf) for calib_nq_open, but")


def test_an_undefined_score_is_null(evaluated, tmp_path):
    """No likelihood has a confidence under this model: lm-eval prints NaN, which JSON has not."""
    assert "NaN" in results_file(evaluated).read_text(encoding="utf-8")
    path = add([evaluated], tmp_path / "s", **FEW)[0]
    assert "NaN" not in path.read_text(encoding="utf-8")
    assert entry_of(path)["scores"][0]["metrics"]["ece"]["value"] is None


# -------------------------------------------------------------------------------------- broken logs


def test_a_log_cut_in_a_line_is_named_with_the_line(ours, tmp_path):
    log_file(ours).write_bytes(log_file(ours).read_bytes()[:-40])
    message = refused(ours, tmp_path / "s", "line 96: not valid JSON.*cut off or damaged")
    assert log_file(ours).name in message


@pytest.mark.parametrize("lines", [95, 90, 73])
def test_a_log_cut_between_lines_is_refused(ours, tmp_path, lines):
    text = log_file(ours).read_text(encoding="utf-8").splitlines(keepends=True)
    log_file(ours).write_text("".join(text[:lines]), encoding="utf-8")
    refused(ours, tmp_path / "s", "'likelihood' and 'sampling' are not about the same questions")


def test_a_log_that_lost_a_method_is_refused(ours, tmp_path):
    text = log_file(ours).read_text(encoding="utf-8").splitlines(keepends=True)
    log_file(ours).write_text("".join(text[:72]), encoding="utf-8")
    refused(ours, tmp_path / "s", "task_hashes")
    change_results(ours, lambda r: r.pop("task_hashes"))
    refused(ours, tmp_path / "s", "results_.* has scores of the filter 'sampling'")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"  \n"])
def test_an_empty_log_is_refused(ours, tmp_path, content):
    log_file(ours).write_bytes(content)
    refused(ours, tmp_path / "s", "holds no samples")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"confidence": float("nan")}, "line 5: the confidence is nan"),
        ({"confidence": float("inf")}, "line 5: the confidence is inf"),
        ({"confidence": 95}, "line 5: the confidence is 95, neither null nor a number from 0 to 1"),
        ({"confidence": "0.5"}, "line 5: the confidence is '0.5'"),
        ({"confidence": True}, "line 5: the confidence is True"),
        ({"correct": 2}, "line 5: correct is 2, neither 0 nor 1"),
        ({"correct": [1]}, r"line 5: correct is \[1\]"),
        ({"task": "other"}, "line 5: the row belongs to the task 'other'"),
        ({"method": "verbalized"}, "line 5: the method is 'verbalized', but the filter 'likeli"),
        ({"answer": "Another."}, "differ in the question, its target or the answer"),
    ],
)
def test_a_record_that_cannot_be_is_named_with_its_line(ours, tmp_path, changes, message):
    change_record(ours, 5, **changes)
    assert log_file(ours).name in refused(ours, tmp_path / "s", message)


def test_an_id_that_comes_twice_is_named(ours, tmp_path):
    first = json.loads(log_file(ours).read_text(encoding="utf-8").splitlines()[0])
    key = json.loads(first["filtered_resps"][0])["id"]
    change_record(ours, 2, id=key)
    refused(ours, tmp_path / "s", rf"line 2: id '{key}' appears twice under the filter")


def change_row(file, line, **changes):
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[line - 1] = json.dumps({**json.loads(lines[line - 1]), **changes})
    file.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"doc_id": 0}, "line 2: id '0' appears twice under the filter 'none'"),
        ({"doc_id": -1}, "line 2: doc_id is -1"),
        ({"doc_id": "1"}, "line 2: doc_id is '1'"),
        ({"filter": None}, "line 2: the filter is None"),
        ({"metrics": "acc"}, "line 2: metrics is 'acc'"),
        ({"acc": float("nan")}, "acc of question '1' is not a finite number"),
        ({"acc": float("inf")}, "acc of question '1' is not a finite number"),
        ({"acc": 10**400}, "line 2: int too large"),
        ({"doc_hash": "0"}, "does not hold the samples"),
    ],
)
def test_a_stock_row_that_cannot_be_is_named(evaluated_stock, tmp_path, changes, message):
    run = shutil.copytree(evaluated_stock, tmp_path / "run")
    change_row(log_file(run, "mmlu_anatomy"), 2, **changes)
    refused(run, tmp_path / "s", message)


def test_a_log_of_two_kinds_is_refused(ours, tmp_path):
    change_row(log_file(ours), 3, filtered_resps=["A"])
    refused(ours, tmp_path / "s", "1 of 96 rows hold no confidence record")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(ours, tmp_path, monkeypatch):
    monkeypatch.setattr("harness_tasks.elicitation.logs.LONGEST_LINE", 100)
    refused(ours, tmp_path / "s", "line 1 is longer than 100 bytes")


def recode(file, encoding):
    file.write_bytes(file.read_text(encoding="utf-8").encode(encoding))


@pytest.mark.parametrize("which", [results_file, log_file])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_another_encoding_is_named(ours, tmp_path, which, encoding):
    if which is log_file:
        change_row(log_file(ours), 4, note="\xe4", doc={})
        text = log_file(ours).read_text(encoding="utf-8")
        log_file(ours).write_text(text.replace("\\u00e4", "\xe4"), encoding="utf-8")
    else:
        text = results_file(ours).read_text(encoding="utf-8")
        results_file(ours).write_text(text.replace("Fast One", "F\xe4st"), encoding="utf-8")
    recode(which(ours), encoding)
    message = refused(ours, tmp_path / "s", "is not UTF-8 text|not valid JSON")
    assert which(ours).name in message


def test_a_byte_order_mark_does_no_harm(ours, evaluated, tmp_path):
    recode(results_file(ours), "utf-8-sig")
    recode(log_file(ours), "utf-8-sig")
    got, expected = [
        entry_of(add([run], tmp_path / f"s{i}", **FEW)[0])["scores"]
        for i, run in enumerate((ours, evaluated))
    ]
    assert got == expected
    recode(add([evaluated], tmp_path / "s2", **FEW)[0], "utf-8-sig")
    assert read_entries(tmp_path / "s1") == read_entries(tmp_path / "s2")
