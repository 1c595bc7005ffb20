"""A user's own table: what is read, and what is refused with its file, row and column."""

import csv
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from harness_tasks.templates.table import Column, read_table, select
from helpers.template_rows import PAIRS, jsonl

PAIR = (Column("prompt"), Column("reference", kind="texts"))


def problems(tmp_path, rows, columns=PAIR):
    file = jsonl(tmp_path / "my.jsonl", rows)
    with pytest.raises(ValueError) as error:
        select(read_table(file), columns, {}, file)
    return str(error.value).splitlines()


def test_csv_jsonl_and_parquet_give_the_same_rows(tmp_path):
    rows = [{"prompt": 'Say "hi",\nplease', "reference": "hi"}, {"prompt": "5", "reference": "6"}]
    csv = tmp_path / "my.csv"
    csv.write_text('prompt,reference\n"Say ""hi"",\nplease",hi\n5,6\n', encoding="utf-8")
    tsv = tmp_path / "my.tsv"
    tsv.write_text('prompt\treference\n"Say ""hi"",\nplease"\thi\n5\t6\n', encoding="utf-8")
    parquet = tmp_path / "my.parquet"
    pa.parquet.write_table(pa.Table.from_pylist(rows), parquet)
    for file in (csv, tsv, parquet, jsonl(tmp_path / "my.jsonl", rows)):
        assert read_table(file) == rows


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    (sentence,) = problems(tmp_path, [{"question": "a", "reference": "b"}])
    assert str(tmp_path / "my.jsonl") in sentence
    assert "no column 'prompt', only 'question', 'reference'" in sentence
    assert "--column prompt=NAME" in sentence


def test_every_bad_cell_is_named_by_file_row_and_column(tmp_path):
    file = tmp_path / "my.jsonl"
    found = problems(
        tmp_path,
        [
            {"prompt": "a", "reference": "x"},
            {"prompt": "b", "reference": "  "},
            {"prompt": 5, "reference": "x"},
            {"prompt": "d", "reference": ["x", ""]},
            {"prompt": "e", "reference": {"text": "x"}},
            {"prompt": "a", "reference": "x"},
            {"prompt": "g", "reference": math.nan},
        ],
    )
    assert found == [
        f"{file}, row 2, column 'reference': the cell is empty; fill it or delete the row.",
        f"{file}, row 3, column 'prompt': 5 is not text; put it in quotes, as a text of its own.",
        f"{file}, row 4, column 'reference': one text of the list is empty; fill it or take it "
        "out.",
        f"{file}, row 5, column 'reference': {{'text': 'x'}} is not text, nor a list of texts.",
        f"{file}, row 6: it is the same as row 1; delete one.",
        f"{file}, row 7, column 'reference': the cell is empty; fill it or delete the row.",
    ]


def test_many_problems_are_counted_after_the_first_ten(tmp_path):
    found = problems(tmp_path, [{"prompt": str(n), "reference": ""} for n in range(25)])
    assert len(found) == 11
    assert found[-1] == "… and 15 more problems."


def test_two_rows_with_one_id_are_refused(tmp_path):
    rows = [{"id": 7, **PAIRS[0]}, {"id": 7, **PAIRS[1]}]
    (sentence,) = problems(tmp_path, rows)
    assert "row 2, column 'id': '7' is also the id of row 1" in sentence


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("my.jsonl", '{"prompt": "a"}\n{"prompt": \n', "line 2 is not JSON"),
        ("my.jsonl", "[1]\n", "JSON array"),
        ("my.jsonl", '{"a": ' + "[" * 100_000, "line 1 is nested too deeply"),
        ("my.jsonl", '{"a": 1}\n' + "[" * 100_000, "line 2 is nested too deeply"),
        ("my.jsonl", "\n \n", "empty"),
        ("my.csv", "prompt,reference\n", "no rows"),
        ("my.csv", "\ufeffprompt,reference\r\n", "no rows"),
        ("my.csv", "prompt,reference\na,b\na,b,c\n", "row 2: the number of cells is 3, .* 2"),
        ("my.csv", "prompt,reference\na\n", "row 1: the number of cells is 1, .* 2"),
        ("my.csv", 'prompt,reference\na,b\n"c,d\ne,f\n', "row 2: unexpected end of data; .*quotes"),
        ("my.csv", 'prompt,reference\n"a"b,c\n', "row 1: ',' expected after '\"'; .*quotes"),
        ("my.csv", "prompt,prompt\na,b\n", "two columns are called 'prompt'"),
        ("my.parquet", "prompt", "no Parquet file, or a damaged one"),
        ("my.csv", "", "empty"),
        ("my.xlsx", "PK\x03\x04", "workbook .* as CSV"),
    ],
)
def test_a_damaged_file_is_a_sentence_that_names_it(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    with pytest.raises(ValueError, match=sentence) as error:
        read_table(tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize("name", ["my.csv", "my.jsonl"])
def test_text_that_is_not_utf_8_is_named_by_its_line(tmp_path, name):
    row = b'{"prompt": "caf\xe9"}\n' if name == "my.jsonl" else b"caf\xe9\n"
    (tmp_path / name).write_bytes(row.replace(b"\xe9", b"e") + row)
    with pytest.raises(ValueError, match=f"{name}: line 2 is not UTF-8"):
        read_table(tmp_path / name)


def test_a_parquet_file_without_rows_or_with_one_name_twice_is_refused(tmp_path):
    file = tmp_path / "my.parquet"
    pa.parquet.write_table(pa.table({"prompt": pa.array([], pa.string())}), file)
    with pytest.raises(ValueError, match="no rows"):
        read_table(file)
    pa.parquet.write_table(pa.table([["a"], ["b"]], names=["prompt", "prompt"]), file)
    with pytest.raises(ValueError, match="two columns are called 'prompt'"):
        read_table(file)


def test_a_csv_from_a_spreadsheet_keeps_quotes_lines_and_scripts(tmp_path):
    file = tmp_path / "my.csv"  # a byte order mark, CRLF, a cell of two lines, a blank line
    file.write_text(
        '\ufeffprompt,reference\r\n"say ""hi"",\r\n{{x}}",🌍\r\n\r\nما عاصمة مصر؟,القاهرة\r\n',
        encoding="utf-8",
        newline="",
    )
    assert read_table(file) == [
        {"prompt": 'say "hi",\r\n{{x}}', "reference": "🌍"},
        {"prompt": "ما عاصمة مصر؟", "reference": "القاهرة"},
    ]


def test_a_cell_may_be_longer_than_the_csv_modules_limit(tmp_path):
    file, limit = tmp_path / "my.csv", csv.field_size_limit()
    file.write_text("prompt,reference\n" + "a" * (limit + 1) + ",b\n", encoding="utf-8")
    assert len(read_table(file)[0]["prompt"]) == limit + 1
    assert csv.field_size_limit() == limit


def test_half_a_character_is_named_before_it_breaks_the_file(tmp_path):
    (cell, id) = problems(
        tmp_path,
        [{"prompt": "\ud83c", "reference": "x"}, {"id": "\udf0d", "prompt": "a", "reference": "y"}],
    )
    assert "row 1, column 'prompt': the text has half of a surrogate pair" in cell
    assert "row 2, column 'id': the text has half of a surrogate pair" in id


def test_rows_that_differ_in_nothing_but_the_id_are_the_same(tmp_path):
    (sentence,) = problems(tmp_path, [{"id": 1, **PAIRS[0]}, {"id": 2, **PAIRS[0]}])
    assert "row 2: it is the same as row 1" in sentence


def test_separators_with_nothing_between_them_are_no_answers():
    column = Column("correct_answers", kind="texts", separator=";")
    with pytest.raises(ValueError, match="row 1, column 'correct_answers': ' ; ;' holds no text"):
        select([{"correct_answers": " ; ;"}], (column,), {}, Path("my.csv"))


def test_a_json_list_in_a_csv_cell_is_several_references_and_a_separator_splits():
    column = Column("reference", kind="texts", separator=";")
    rows = [{"reference": '["a; b", "c"]'}, {"reference": "a; b"}, {"reference": "[1, 2]"}]
    chosen = select(rows, (column,), {}, Path("my.csv"))
    assert [row["reference"] for row in chosen] == [["a; b", "c"], ["a", "b"], ["[1, 2]"]]
