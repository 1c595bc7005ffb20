"""What is a user's table, by its content: both readers of the columns see the same file."""

import bz2
import gzip
import io
import json
import os
import sys
import threading
import zipfile

import pyarrow as pa
import pyarrow.parquet
import pytest

from calib_metrics.files import find_format, read_rows
from calib_metrics.tables import open_table, text_rows

CSV = "question,confidence,correct\na,0.9,1\nb,0.6,0\n"
ROWS = [
    {"question": "a", "confidence": "0.9", "correct": "1"},
    {"question": "b", "confidence": "0.6", "correct": "0"},
]


def numbers(source):
    rows = read_rows(source)
    return rows.confidence.tolist(), rows.correct.tolist()


def both_see_it(source):
    assert numbers(source) == ([0.9, 0.6], [1.0, 0.0])
    assert text_rows(open_table(source)) == ROWS


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["answers.csv", "answers.txt", "answers"])
def test_the_separator_is_recognised(tmp_path, separator, name):
    path = tmp_path / name
    path.write_text(CSV.replace(",", separator))
    both_see_it(path)


def test_separators_between_quotes_separate_nothing(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text('"asked; or; not",confidence,correct\na,0.9,1\nb,0.6,0\n')
    assert numbers(path) == ([0.9, 0.6], [1.0, 0.0])
    path.write_text('"asked, or, not";confidence;correct\na;0.9;1\nb;0.6;0\n')
    assert numbers(path) == ([0.9, 0.6], [1.0, 0.0])


def test_a_decimal_comma_is_no_confidence_and_told_apart_from_text(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("confidence;correct\n0,95;1\n")
    with pytest.raises(ValueError, match="'0,95' in row 1: write 0.95 with a point"):
        read_rows(path)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", lambda content: zstd(content)),
        ("", gzip.compress),
    ],
)
def test_a_packed_file_is_unpacked_whatever_its_name(tmp_path, suffix, pack):
    path = tmp_path / f"answers.csv{suffix}"
    path.write_bytes(pack(CSV.encode()))
    both_see_it(path)
    both_see_it(path.read_bytes())


def zstd(content):
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as packed:
        packed.write(content)
    return stream.getvalue().to_pybytes()


def test_a_packed_parquet_file_is_read(tmp_path):
    plain = io.BytesIO()
    table = pa.table({"confidence": [0.9, 0.6], "correct": [1, 0]})
    pa.parquet.write_table(table, plain)
    path = tmp_path / "answers.parquet.gz"
    path.write_bytes(gzip.compress(plain.getvalue()))
    assert numbers(path) == ([0.9, 0.6], [1.0, 0.0])
    (tmp_path / "wrong.csv").write_bytes(plain.getvalue())  # the content decides
    assert numbers(tmp_path / "wrong.csv") == ([0.9, 0.6], [1.0, 0.0])


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are UTF-8 there")
@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_name_that_is_not_utf_8_is_a_name(tmp_path, suffix):
    path = tmp_path / os.fsdecode(b"na\xefve." + suffix.encode())
    if suffix == "parquet":
        with open(path, "wb") as file:
            pa.parquet.write_table(pa.table({"confidence": [0.9], "correct": [1]}), file)
    else:
        csv = "confidence,correct\n0.9,1\n"
        path.write_text(csv if suffix == "csv" else '{"confidence": 0.9, "correct": 1}\n')
    assert numbers(path) == ([0.9], [1.0])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_to_its_end(tmp_path, pack):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(pack(CSV.encode())))
    writer.start()
    table = open_table(pipe)
    writer.join()
    both_see_it(table)
    assert table.name == str(pipe)


def a_zip():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("answers.csv", CSV)
    return stream.getvalue()


NO_TABLES = [
    (a_zip(), "a workbook or an archive .ZIP.: save the sheet as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old version of Excel"),
    (b"%PDF-1.7 ...", "a PDF"),
    (b"\xfd7zXZ\x00\x00", "packed with xz: unpack"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git lfs pull"),
    (b"<!DOCTYPE html><html>Please log in</html>", "a web page"),
    (b"\x7fELF\x02\x01\x00\x00", "binary data"),
    (gzip.compress(a_zip()), "a workbook or an archive"),
    (CSV.encode("utf-16"), "UTF-16"),
    (b'{\n  "confidence": 0.9,\n  "correct": 1\n}\n', "one JSON document over several lines"),
    (b'{"confidence": 0.9, "corr', "line 1 is not JSON: the file is damaged"),
]


@pytest.mark.parametrize(("content", "words"), NO_TABLES)
@pytest.mark.parametrize("name", ["answers", "answers.csv", "answers.jsonl"])
def test_what_is_no_table_is_named_in_one_sentence_without_its_bytes(
    tmp_path, content, words, name
):
    path = tmp_path / name
    path.write_bytes(content)
    if content.startswith(b"{") and name.endswith(".csv"):
        pytest.skip("as CSV, its first line is one column name")
    with pytest.raises(ValueError, match=words) as caught:
        read_rows(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and message.isprintable()


def test_a_name_that_says_packed_of_a_file_that_is_not_is_refused(tmp_path):
    path = tmp_path / "answers.csv.gz"
    path.write_text(CSV)
    with pytest.raises(ValueError, match="answers.csv.gz: the file is damaged"):
        read_rows(path)


def test_what_lm_eval_logged_is_recognised_through_packing_too(tmp_path):
    line = json.dumps({"doc_id": 0, "doc": {}, "resps": [], "filtered_resps": []}) + "\n"
    path = tmp_path / "samples_t.jsonl.gz"
    path.write_bytes(gzip.compress(line.encode()))
    assert find_format(path) == "lm-eval"
    assert open_table(path).packed == "gzip"
