"""The WorldFacts files: shape, splits, options, and facts known from general knowledge."""

import json
import re
import unicodedata
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "harness_tasks" / "worldfacts" / "data"
SPLITS = ("train", "validation", "test", "test_ood")
IN_DOMAIN = SPLITS[:3]
KEYS = ["id", "relation", "subject", "question", "answers", "choices", "gold"]
COUNTRY_RELATIONS = {
    "calling_code",
    "capital",
    "capital_country",
    "continent",
    "currency",
    "currency_code",
    "demonym",
    "demonym_country",
    "language",
    "neighbour",
    "tld",
}


def squad(text: str) -> str:
    """SQuAD's normalisation and accents removed; written here so as not to test with itself."""
    text = unicodedata.normalize("NFKD", text.lower())
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = text.replace("-", " ")
    text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
    bare = " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())
    return bare or text  # the symbol A is an answer, not an article


@pytest.fixture(scope="module")
def splits() -> dict[str, list[dict]]:
    return {
        split: [json.loads(line) for line in (DATA / f"{split}.jsonl").open(encoding="utf-8")]
        for split in SPLITS
    }


@pytest.fixture(scope="module")
def rows(splits) -> list[dict]:
    return [row for split in SPLITS for row in splits[split]]


def test_every_row_has_the_documented_keys_in_order(rows):
    for row in rows:
        assert list(row) == KEYS, row["id"]
        texts = [row["subject"], row["question"], *row["answers"], *row["choices"]]
        assert all(isinstance(text, str) and text == text.strip() and text for text in texts), row
        assert row["id"].startswith(row["relation"] + ":")
        assert row["question"].endswith("?")
        assert len(row["answers"][0].split()) <= 6, row


def test_non_ascii_letters_are_written_as_they_are():
    assert all("\\u" not in (DATA / f"{split}.jsonl").read_text("utf-8") for split in SPLITS)


def test_ids_and_questions_are_unique(rows):
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["question"] for row in rows}) == len(rows)


def test_splits_have_about_the_documented_sizes(splits):
    wanted = {"train": 2400, "validation": 400, "test": 800, "test_ood": 540}
    assert {s: len(splits[s]) for s in SPLITS} == pytest.approx(wanted, rel=0.1)


def test_every_in_domain_relation_is_in_every_in_domain_split(splits):
    relations = {split: {row["relation"] for row in splits[split]} for split in IN_DOMAIN}
    assert relations["train"] == relations["validation"] == relations["test"]
    assert len(relations["train"]) >= 10


def test_ood_relations_never_occur_in_domain(splits):
    unseen = {row["relation"] for row in splits["test_ood"]}
    assert len(unseen) >= 3
    assert unseen.isdisjoint(row["relation"] for s in IN_DOMAIN for row in splits[s])


def entities(row: dict) -> set[str]:
    """What a question is about, told from its id, subject and (for a capital) its answer."""
    relation, key = row["relation"], row["id"].split(":", 1)[1]
    if relation in COUNTRY_RELATIONS:
        found = {f"country:{key}"}
        if relation == "capital":
            found |= {f"city:{squad(form)}" for form in row["answers"]}
        if relation == "capital_country":
            found.add(f"city:{squad(row['subject'])}")
        return found
    if relation in ("symbol_element", "element_symbol", "atomic_number", "number_element"):
        return {f"element:{key}"}
    if relation == "airport_city":
        return {f"city:{squad(row['answers'][0])}"}
    if relation in ("city_country", "city_continent", "us_city_state"):
        return {f"city:{squad(row['subject'])}"}
    if relation == "us_state_capital":
        return {f"state:{key}", f"city:{squad(row['answers'][0])}"}
    if relation == "us_state_abbreviation":
        return {f"state:{key}"}
    return {f"{relation}:{key}"}


def test_no_entity_is_in_two_splits(splits):
    where: dict[str, str] = {}
    for split in SPLITS:
        for row in splits[split]:
            for entity in entities(row):
                assert where.setdefault(entity, split) == split, (entity, row["id"])


def test_exactly_one_option_is_an_accepted_answer(rows):
    for row in rows:
        accepted = {squad(form) for form in row["answers"]}
        right = [place for place, form in enumerate(row["choices"]) if squad(form) in accepted]
        assert right == [row["gold"]], row["id"]
        assert len({squad(form) for form in row["choices"]}) == 4, row["id"]


def test_accepted_answers_differ_after_normalisation(rows):
    for row in rows:
        forms = [squad(form) for form in row["answers"]]
        assert len(set(forms)) == len(forms) and all(forms), row["id"]


def test_the_right_option_is_at_each_place_about_as_often(rows):
    counts = Counter(row["gold"] for row in rows)
    # A fair four-sided die over n rows stays within four standard deviations of n / 4.
    slack = 4 * (len(rows) * 0.25 * 0.75) ** 0.5
    assert set(counts) == {0, 1, 2, 3}
    assert all(abs(n - len(rows) / 4) < slack for n in counts.values())


def test_the_start_of_each_split_mixes_relations(splits):
    for split in SPLITS:
        head = Counter(row["relation"] for row in splits[split][:100])
        assert len(head) >= 5 and max(head.values()) <= 60


def test_few_shot_examples_are_of_three_relations(splits):
    first = splits["train"][:3]
    assert len({row["relation"] for row in first}) == 3


def test_the_files_are_small():
    assert sum((DATA / f"{split}.jsonl").stat().st_size for split in SPLITS) < 1_500_000


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("capital:FR", "Paris"),
        ("capital:AU", "Canberra"),
        ("capital:CA", "Ottawa"),
        ("capital:KZ", "Astana"),
        ("capital:TR", "Ankara"),
        ("capital_country:MM", "Burma"),
        ("capital_country:CZ", "Czechia"),
        ("currency:JP", "yen"),
        ("currency:DE", "euro"),
        ("currency:GB", "pound"),
        ("language:BR", "Portuguese"),
        ("continent:KE", "Africa"),
        ("neighbour:PT", "Spain"),
        ("demonym:DK", "Danish"),
        ("calling_code:FR", "33"),
        ("tld:DE", ".de"),
        ("symbol_element:Fe", "iron"),
        ("symbol_element:S", "sulphur"),
        ("element_symbol:Al", "Al"),
        ("element_symbol:Au", "Au"),
        ("atomic_number:O", "8"),
        ("number_element:C", "carbon"),
        ("city_country:lyon", "France"),
        ("city_country:hyderabad", "Pakistan"),
        ("city_country:hyderabad", "India"),
        ("city_country:istanbul", "Turkey"),
        ("us_state_capital:CA", "Sacramento"),
        ("us_state_abbreviation:TX", "Texas"),
        ("us_city_state:chicago", "Illinois"),
        ("book_author:hamlet", "Shakespeare"),
        ("painting_artist:guernica", "Picasso"),
        ("si_unit:force", "newton"),
    ],
)
def test_a_fact_known_to_everyone_is_accepted(rows, name, known):
    row = next(row for row in rows if row["id"] == name)
    assert squad(known) in {squad(form) for form in row["answers"]}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("capital:AU", "Sydney"),
        ("capital:TR", "Istanbul"),
        ("capital:CH", "Zurich"),
        ("currency:CA", "US dollar"),
        ("currency:CH", "euro"),
        ("language:BR", "Spanish"),
        ("capital_country:CG", "Democratic Republic of the Congo"),
        ("element_symbol:Na", "So"),
        ("us_state_capital:NY", "New York City"),
    ],
)
def test_a_well_known_mistake_is_not_accepted(rows, name, wrong):
    row = next(row for row in rows if row["id"] == name)
    assert squad(wrong) not in {squad(form) for form in row["answers"]}


def test_disputed_capitals_are_not_asked(rows):
    ids = {row["id"] for row in rows}
    assert ids.isdisjoint(f"capital:{code}" for code in ("BO", "ZA", "IL", "NR", "XK", "EH"))


def test_building_again_gives_the_same_bytes(tmp_path, capsys):
    from harness_tasks.builders.worldfacts import build

    for package, wanted in build.PACKAGES.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            pytest.skip(f"{package} is not installed (extra `worldfacts`)")
        if found != wanted:
            pytest.skip(f"the data was built with {package} {wanted}, not {found}")
    build.build(tmp_path)
    for split in SPLITS:
        name = f"{split}.jsonl"
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name
