"""Prepared data sets: which split a row goes to, which are left out, and what is refused."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_adapters.data.prepare import Choices, prepare
from calib_adapters.data.prepare.division import divide, leave_out_repeats, limit
from calib_adapters.data.prepare.row import Row
from helpers.adapters_common import write_lines


def row(subject, completion="x", place=0, prompt=None):
    return Row(str(place), prompt or subject, completion, subject, place)


def test_the_place_of_a_row_is_the_hash_of_seed_and_subject():
    shares = {"train": 0.5, "validation": 0.2, "test": 0.3}
    rows = [row(f"question {n}", place=n) for n in range(200)]
    divided = divide(rows, list(shares), shares, seed=7)
    for one in rows:
        digest = hashlib.sha256(f"7|{one.subject}".encode()).hexdigest()
        place = int(digest[:16], 16) / 16**16
        role = "train" if place < 0.5 else "validation" if place < 0.7 else "test"
        assert one in divided[role]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["train", "validation", "calibration", "test"]),
            st.sampled_from(["one", "two"]),
            st.sampled_from("abcdef"),
            st.sampled_from("xy"),
        ),
        max_size=40,
    )
)
def test_no_question_stands_in_two_splits_and_every_row_is_kept_or_counted(drawn):
    splits = {}
    for place, (role, source, subject, completion) in enumerate(drawn):
        splits.setdefault(role, {}).setdefault(source, []).append(row(subject, completion, place))
    kept, lost = leave_out_repeats(splits)
    subjects = {
        role: {one.subject for rows in by.values() for one in rows} for role, by in kept.items()
    }
    assert sum(map(len, subjects.values())) == len({one for s in subjects.values() for one in s})
    assert kept.get("test") == splits.get("test")  # never touched
    for role in set(kept) - {"test"}:
        contents = [one.content for rows in kept[role].values() for one in rows]
        assert len(contents) == len(set(contents))
    left = sum(len(rows) for by in kept.values() for rows in by.values())
    assert left + sum(sum(why.values()) for why in lost.values()) == len(drawn)


def test_training_gives_way_and_the_reason_is_counted(tmp_path):
    train = [{"prompt": p, "completion": "c"} for p in ("a", "b", "b", "d")]
    files = [
        f"train={write_lines(tmp_path / 'train.jsonl', train)}",
        f"validation={write_lines(tmp_path / 'v.jsonl', [{'prompt': 'd', 'completion': 'e'}])}",
    ]
    data, described = prepare(files, tmp_path / "data")
    assert data["train"]["prompt"] == ["a", "b"]
    assert described["sources"][0]["left_out"] == {
        "train: same as an earlier row": 1,
        "train: question is also in validation": 1,
    }


def test_a_limit_takes_a_sample_that_a_larger_limit_contains():
    rows = [row(f"question {n}", place=n) for n in range(100)]
    few, more = limit(rows, 10, seed=3), limit(rows, 30, seed=3)
    assert (len(few), len(more)) == (10, 30)
    assert set(few) < set(more)
    assert more == sorted(more, key=lambda one: one.place)
    assert few != rows[:10]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (Choices(shares={"train": 0.5, "validation": 0.2}), "must be fractions that add up to 1"),
        (Choices(shares={"train": 1}), "give validation a share"),
        (Choices(shares={"train": 0.5, "dev": 0.5}), "'dev' is not one of train"),
        (Choices(limits={"train": 0}), "at least one row"),
        (Choices(splits={"train": "a"}, redivide=True), "give one of them"),
        (Choices(columns={"answer": "x"}), "there is no such column"),
    ],
)
def test_choices_that_cannot_be_met_are_refused(choices, message, tmp_path):
    file = write_lines(tmp_path / "x.jsonl", [{"prompt": "p", "completion": "c"}])
    with pytest.raises(ValueError, match=message):
        prepare([str(file)], tmp_path / "data", choices)


def test_without_validation_rows_nothing_is_written(tmp_path):
    file = write_lines(tmp_path / "x.jsonl", [{"prompt": "p", "completion": "c"}])
    with pytest.raises(ValueError, match="no rows are left for"):
        prepare([f"train={file}"], tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]
