"""An unclosed quote in a CSV swallows rows: it is refused, and nothing else is."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib_metrics import _quotes
from calib_metrics.files import read_rows

TABLE = "confidence,correct,q\n" + "".join(f"0.{i + 1},{i % 2},text {i}\n" for i in range(8))


def read(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    return read_rows(tmp_path / "t.csv")


@pytest.mark.parametrize("open_at", [(3,), (7,), (3, 5), (0, 1, 2)])
def test_rows_that_an_open_quote_swallows_are_not_lost_in_silence(tmp_path, open_at):
    text = TABLE
    for number in open_at:
        text = text.replace(f"text {number}", f'"text {number}')
    with pytest.raises(ValueError, match=rf"t\.csv: row {open_at[0] + 1}: .*quotes"):
        read(tmp_path, text)


@pytest.mark.parametrize("cell", ['"a, b"', '"two\nlines"', '"say ""yes"""', '5" pipe', '""'])
def test_quotes_that_are_right_and_inches_are_read(tmp_path, cell):
    assert len(read(tmp_path, TABLE.replace("text 3", cell)).confidence) == 8


def test_a_byte_order_mark_before_a_quoted_name_is_no_text(tmp_path):
    assert len(read(tmp_path, "\ufeff" + TABLE.replace("confidence", '"confidence"')).correct) == 8


@given(st.text(alphabet='a,"\n', max_size=12), st.integers(1, 5))
def test_pythons_csv_module_in_its_strict_mode_agrees(text, block):
    """Whatever is taken without its help, it would take as well."""
    content = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_quotes, "_BLOCK", block)  # so that quotes stand at borders of blocks
        quick = _quotes._all_at_borders(io.BytesIO(content), ",")
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        assert not quick
        with pytest.raises(ValueError, match="write those twice"):
            _quotes.check_quotes(io.BytesIO(content), io.BytesIO(content), ",")
    else:
        _quotes.check_quotes(io.BytesIO(content), io.BytesIO(content), ",")
