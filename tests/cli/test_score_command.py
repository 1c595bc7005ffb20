"""`calibench score`: any table or log in, the same table of scores out, or a sentence."""

import gzip
import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import calibench.cli
from calib_metrics import Score, score
from calib_metrics.files import read_rows
from calib_metrics.registry import METRICS
from harness_tasks.elicitation.records import Record

pa = pytest.importorskip("pyarrow")
import pyarrow.csv as arrow_csv  # noqa: E402
import pyarrow.parquet as arrow_parquet  # noqa: E402

# Hand-worked: gaps .1, .4, .3 and .8 in bins of their own; of four pairs three in order.
CONFIDENCE = [0.9, 0.6, 0.3, 0.8]
CORRECT = [1, 1, 0, 0]
ROWS = list(zip(CONFIDENCE, CORRECT, strict=True))
CSV = "question,confidence,correct\na,0.9,1\nb,0.6,1\nc,0.3,0\nd,0.8,0\n"
EXPECTED = {"acc": "0.5000", "ece": "0.4000", "auroc": "0.7500", "brier": "0.2250"}
FEW = ("--resamples", "20")
RNG = np.random.default_rng(0)
MANY = {
    "confidence": RNG.random(200).round(2),
    "correct": RNG.integers(0, 2, 200),
    "subject": [f"subject {k}" for k in RNG.integers(0, 20, 200)],
}


def run(*arguments, stdin=None):
    """Return what the command prints; its errors are raised."""
    found = CliRunner().invoke(
        calibench.cli.cli, ["score", *map(str, arguments)], input=stdin, catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    return found.output


def values(output):
    """Return the metrics and values of the printed table."""
    return dict(re.findall(r"^  (\w+) [↑↓] +(\S+)", output, re.MULTILINE))


def a_file(tmp_path, content, name="answers.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def json_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(path, kind, columns):
    """Write columns with the tools people use."""
    table = pa.table(columns)
    if kind == "parquet":
        arrow_parquet.write_table(table, path)
    elif kind == "jsonl":
        path.write_text(json_lines(table.to_pylist()), encoding="utf-8")
    else:
        options = arrow_csv.WriteOptions(delimiter="\t" if kind == "tsv" else ",")
        arrow_csv.write_csv(table, path, options)
    return path


KINDS = ("csv", "tsv", "jsonl", "parquet")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [True, False])
def test_every_format_gives_the_hand_worked_scores(tmp_path, kind, suffix):
    columns = {"confidence": CONFIDENCE, "text": list("abcd"), "correct": CORRECT}
    path = write(tmp_path / (f"answers.{kind}" if suffix else "answers"), kind, columns)
    output = run(path, *FEW)
    assert output.startswith(f"{path.name}\n") and values(output).items() >= EXPECTED.items()
    piped = run("-", *FEW, stdin=path.read_bytes())
    assert piped.splitlines()[1:] == output.splitlines()[1:]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.none() | st.floats(0, 1), st.booleans()), min_size=1))
def test_columns_are_read_as_they_were_written(tmp_path, kind, rows):
    confidence, correct = map(list, zip(*rows, strict=True))
    columns = {
        "confidence": pa.array(confidence, pa.float64()),
        "correct": pa.array(correct),
    }
    found = read_rows(write(tmp_path / f"file.{kind}", kind, columns))
    np.testing.assert_array_equal(found.confidence, np.array(confidence, dtype=float))
    np.testing.assert_array_equal(found.correct, correct)


def test_gzipped_file_is_unpacked(tmp_path):
    path = a_file(tmp_path, gzip.compress(CSV.encode()), "answers.csv.gz")
    assert values(run(path, *FEW)).items() >= EXPECTED.items()


@pytest.mark.parametrize(
    "content",
    [
        CSV.replace(",1\n", ",true\n").replace(",0\n", ",FALSE\n"),
        CSV.replace(",1\n", ",True\n").replace(",0\n", ",False\n"),
        CSV.replace("a,", '"several\nlines, and ""quotes""",'),
        "\ufeff" + CSV,
        CSV.replace("\n", "\r\n"),
        json_lines([{"confidence": c, "correct": bool(y)} for c, y in ROWS]),
        # Irregular columns that nobody asked for, a kind of its own in each row, blank lines.
        '{"x": 1, "confidence": 0.9, "correct": true}\n\n'
        '{"x": "b", "confidence": 0.6, "correct": 1}\n'
        '{"x": {}, "confidence": 0.3, "correct": 0}\n{"confidence": 0.8, "correct": 0.0}\n',
    ],
)
def test_other_spellings_of_the_same_rows(tmp_path, content):
    assert values(run(a_file(tmp_path, content, "answers"), *FEW)).items() >= EXPECTED.items()


@pytest.mark.parametrize("empty", ["", "NaN", "nan", "null", "None", "NA"])
def test_missing_confidence_in_csv_is_counted(tmp_path, empty):
    output = run(a_file(tmp_path, CSV + f"e,{empty},1\n"), *FEW)
    expected = {"ece": "0.4000", "acc": "0.6000", "answered": "0.8000"}
    assert values(output).items() >= expected.items()
    assert re.search(r"ece ↓ .* 4 +1$", output, re.MULTILINE)
    with pytest.raises(ValueError, match="answers.csv: confidence is missing .* in 1 of 5 rows"):
        run(tmp_path / "answers.csv", "--missing", "error")


@pytest.mark.parametrize("last", ['{"confidence": null,', '{"confidence": NaN,', "{"])
def test_missing_confidence_in_json_lines_is_counted(tmp_path, last):
    content = json_lines({"confidence": c, "correct": y} for c, y in ROWS)
    output = run(a_file(tmp_path, content + last + '"correct": 1}\n', "answers.jsonl"), *FEW)
    assert values(output).items() >= {"ece": "0.4000", "answered": "0.8000"}.items()


def test_damaged_gzip_is_a_sentence_that_names_the_file(tmp_path):
    path = a_file(tmp_path, CSV, "answers.csv.gz")
    with pytest.raises(ValueError, match="answers.csv.gz: the file is damaged"):
        run(path)


def test_text_column_without_text_is_missing(tmp_path):
    columns = {"confidence": pa.array([None, None], pa.string()), "correct": [1, 0]}
    output = run(write(tmp_path / "f.parquet", "parquet", columns), *FEW)
    assert values(output)["answered"] == "0.0000"
    columns["confidence"] = pa.array([None, "0.5"])
    with pytest.raises(ValueError, match="text, such as '0.5' in row 2"):
        run(write(tmp_path / "f.parquet", "parquet", columns))


def test_columns_can_have_other_names(tmp_path):
    content = CSV.replace("confidence,correct", "p of true,grade")
    columns = ("--confidence", "p of true", "--correct", "grade")
    assert values(run(a_file(tmp_path, content), *columns, *FEW)).items() >= EXPECTED.items()


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


BAD_TABLES = [
    ("q,conf,correct\na,0.9,1\n", "no column 'confidence', only 'q', 'conf', 'correct'"),
    ("confidence,correct,correct\n0.9,1,1\n", "2 columns are called 'correct'"),
    ("confidence,correct\n95,1\n50,0\n", "from 50 to 95.*--scale percent, ten or rank"),
    ("confidence,correct\n0.9,1\n0.5,0\n95%,0\n", "text, such as '95%' in row 3: write 0.95"),
    ("confidence,correct\n0.9,1\nunsure,0\n", "text, such as 'unsure' in row 2"),
    ("confidence,correct\n1.5,1\n", "outside the range"),
    ("confidence,correct\ninf,1\n", "outside the range"),
    ("confidence,correct\n-2.3,1\n-0.1,0\n", "from -2.3 to -0.1.*such as log-probabilities"),
    ("confidence,correct\ntrue,1\nfalse,0\n", "are the two columns swapped"),
    ("confidence,correct\n1,0.9\n0,0.5\n", "correct holds 0.[59].*swapped"),
    ("confidence,correct\n0.9,yes\n", "column 'correct' holds text, such as 'yes' in row 1"),
    ("confidence,correct\n0.9,2024-01-01\n", "type date32.*0 and 1"),
    ("confidence,correct\n0.9,1\n0.5,\n", "'correct' is empty in 1 of 2 rows, first in row 2"),
    ("confidence,correct\n0.9,1,7\n", "cannot be read: .*2 columns, got 3"),
    ("confidence,correct\n", "no rows"),
    ("", "empty"),
    ("\n \n", "empty"),
    ("confidence,correct\n0.9,1\n".encode("utf-16"), "UTF-16"),
    ('[{"confidence": 0.9, "correct": 1}]', "one JSON array"),
    ('{"confidence": 0.9, "correct": 1}\n{"confidence": 0.8, "cor', "line 2 is not JSON"),
    ('{"confidence": 0.9, "correct": 1}\n[0.8, 1]\n', "line 2 is not a JSON object"),
    ('{"confidence": "0.9", "correct": 1}\n', "text, such as '0.9' in row 1"),
    (
        '{"confidence": 0.9, "correct": 1}\n{"confidence": true, "correct": 1}\n',
        "text, such as 'True' in row 2",
    ),
    ('{"confidence": 0.9, "correct": null}\n', "'correct' is empty in 1 of 1"),
    ('{"p": 0.9, "correct": 1}\n', "no column 'confidence', only 'p', 'correct'"),
    (b"PAR1 and no more", "no Parquet file, or a damaged one"),
    ("confidence,correct\n0.9," + "1" * 400 + "\n", "correct holds"),
]


@pytest.mark.parametrize(("content", "words"), BAD_TABLES)
def test_bad_table_is_a_sentence_that_names_the_file(tmp_path, content, words):
    with pytest.raises(ValueError, match=rf"answers: .*{words}") as caught:
        run(a_file(tmp_path, content, "answers"))
    assert "\n" not in str(caught.value)


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
    assert found.exit_code == 2 and "is not in the range x<=1000000" in found.output


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_read_and_one_without_a_writer_ends_in_a_sentence(tmp_path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(CSV), daemon=True)
    writer.start()
    assert EXPECTED.items() <= values(run(pipe, *FEW)).items()
    writer.join()
    monkeypatch.setattr("calib_metrics.pipes.PATIENCE", 0.1)
    found = CliRunner().invoke(calibench.cli.cli, ["score", str(pipe)])
    assert "is a pipe that nobody writes to" in str(found.exception)


def test_a_device_that_never_ends_is_refused():
    found = CliRunner().invoke(calibench.cli.cli, ["score", "/dev/zero"])
    assert "is a device or a socket" in str(found.exception)
