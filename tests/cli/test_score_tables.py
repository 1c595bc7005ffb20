"""`calibench score TABLE`: the same scores from every format, and bad tables."""

import gzip
import os
import re
import threading

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import calibench.cli
from calib_metrics.files import read_rows
from helpers.score_command import (
    CONFIDENCE,
    CORRECT,
    CSV,
    EXPECTED,
    FEW,
    KINDS,
    ROWS,
    a_file,
    json_lines,
    run,
    values,
    write,
)


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "ids"), [("id", ["a", "b", "a", None]), ("doc_id", [7, 8, 7, 9])])
def test_rows_that_repeat_an_id_are_said_and_belong_together_on_request(tmp_path, kind, name, ids):
    columns = {name: ids, "confidence": CONFIDENCE, "correct": CORRECT}
    path = write(tmp_path / f"f.{kind}", kind, columns)
    sentence = f"1 row repeats the '{name}' of another, such as {ids[0]!r}."
    assert sentence in run(path, *FEW)
    once = write(tmp_path / f"once.{kind}", kind, {**columns, name: list("abcd")})
    assert "of another" not in run(once, *FEW)
    if None not in ids:
        assert "of another" not in run(path, *FEW, "--group", name)


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
