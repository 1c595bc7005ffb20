"""Files of tables beside what other readers take them for."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from calib_leaderboards.tables.formats import COLUMNS, csv_lines


@given(st.lists(st.text("ab ,;\"'|\\"), min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_pythons_reader_finds_the_texts_that_were_written_as_csv(texts):
    lines = csv_lines([tuple(texts), tuple(reversed(texts))]).decode()
    assert list(csv.reader(io.StringIO(lines, newline=""))) == [texts, texts[::-1]]
