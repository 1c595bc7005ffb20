"""Files of tables beside what other readers take them for."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from calib_leaderboards.tables.formats import COLUMNS, csv_filled, csv_kept, csv_lines
from calib_leaderboards.tables.parquet import spliced, to_table, with_ranks, write_table


@given(st.lists(st.text("ab ,;\"'|\\"), min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_pythons_reader_finds_the_texts_that_were_written_as_csv(texts):
    lines = csv_lines([tuple(texts), tuple(reversed(texts))]).decode()
    assert list(csv.reader(io.StringIO(lines, newline=""))) == [texts, texts[::-1]]


FLOATS = ("value", "low", "high", "stderr")
WHOLE = ("parameters", "num_fewshot", "rank", "n", "n_missing")
TRUTHS = ("default_setting", "chat_template", "system_prompt", "sanity", "higher_is_better")
texts = st.text(st.characters(codec="utf-8"), max_size=8)


def values_of(name):
    if name in FLOATS:
        return st.none() | st.floats(allow_nan=False, allow_infinity=False)
    if name in WHOLE:
        return st.none() | st.integers(0, 2**53)
    return st.none() | (st.booleans() if name in TRUTHS else texts)


a_line = st.tuples(*map(values_of, COLUMNS))


@given(a_line, st.lists(st.tuples(texts, texts), min_size=1, max_size=3), st.data())
def test_kept_lines_that_are_filled_are_those_that_are_written_at_once(line, own, data):
    main = data.draw(st.booleans())
    rank = data.draw(st.none() | st.integers(1, 9))
    place = data.draw(st.integers(0, len(own) - 1))

    def lines(main, rank):
        for number, (metric, signature) in enumerate(own):
            values = dict(zip(COLUMNS, line, strict=True))
            values |= {"metric": metric, "signature": signature, "default_setting": main}
            yield (*{**values, "rank": rank if number == place else None}.values(),)

    kept = csv_kept(list(lines(True, None)))
    assert csv_filled(kept, main, rank, place) == csv_lines(lines(main, rank))


@given(st.lists(a_line, min_size=1, max_size=6), st.data())
def test_a_table_holds_the_values_of_its_lines_and_is_the_same_of_pieces(lines, data):
    table = to_table(lines)
    assert [tuple(row.values()) for row in table.to_pylist()] == lines
    cut = data.draw(st.integers(0, len(lines)))
    assert write_table(spliced([table.slice(0, cut), to_table(lines[cut:])])) == write_table(table)
    ranked = with_ranks(table, [True] * len(lines), [None, *range(1, len(lines))])
    assert ranked.column("default_setting").to_pylist() == [True] * len(lines)
    assert ranked.column("rank").to_pylist() == [None, *range(1, len(lines))]
