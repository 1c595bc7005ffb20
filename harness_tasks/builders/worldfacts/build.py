"""Build the WorldFacts splits from packaged fact tables.

    python -m harness_tasks.builders.worldfacts.build [--out DIR]

Needs the extra `worldfacts`. The same package versions give the same bytes: every choice is a
SHA-256 of the seed and a name, never a random generator's state.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness_tasks.builders.worldfacts import cities, countries, tables, things
from harness_tasks.builders.worldfacts.keys import normalize
from harness_tasks.builders.worldfacts.sources import PACKAGES, Fact, Sources, load_sources

SEED = "worldfacts-1"
# A relation is a function from the sources to its facts.
IN_DOMAIN = (
    countries.capitals,
    countries.capital_countries,
    countries.continents,
    countries.currencies,
    countries.currency_codes,
    countries.languages,
    countries.adjectives,
    countries.demonym_countries,
    countries.calling_codes,
    countries.top_level_domains,
    countries.neighbours,
    cities.city_countries,
    cities.city_continents,
    cities.airport_cities,
    things.elements,
    things.language_codes,
)
OUT_OF_DOMAIN = (
    cities.us_states,
    cities.us_city_states,
    things.creative_works,
    things.small_tables,
    things.origins,
)
# Shares of the in-domain questions; the rest is train.
SHARES = {"test": 800 / 3600, "validation": 400 / 3600}
# At most this many questions of a relation, the best known first; others take all there are.
# What the small model of the docs hardly ever knows is kept small, so that it stays a minority.
CAPS = {
    "city_country": 1230,
    "city_continent": 320,
    "us_city_state": 60,
    "calling_code": 60,
    "tld": 60,
    "currency_code": 60,
    "language_code": 60,
    "airport_city": 90,
    "atomic_number": 60,
    "number_element": 60,
}
# The first rows of train: they serve as the few-shot examples of the tasks.
FIRST = ("capital:ES", "symbol_element:O", "city_country:osaka")


def draw(*names: str) -> float:
    """A number in [0, 1) that depends only on the seed and `names`."""
    digest = hashlib.sha256("|".join((SEED, *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def check_packages() -> dict[str, str]:
    """Installed versions of the fact packages.

    Raises:
        RuntimeError: a package is missing or not of the pinned version.
    """
    found = {}
    for name, wanted in PACKAGES.items():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            raise RuntimeError(
                f"The package {name} is not installed; install "
                "calibench[worldfacts] to build WorldFacts."
            ) from None
        if found[name] != wanted:
            raise RuntimeError(
                f"WorldFacts is built with {name}=={wanted} but {found[name]} is "
                "installed; install calibench[worldfacts] in a fresh environment."
            )
    return found


def collect(makers: Iterable, src: Sources) -> list[Fact]:
    """All facts of the given relations, capped, without repeated ids or questions."""
    by_relation: dict[str, list[Fact]] = defaultdict(list)
    for maker in makers:
        for fact in maker(src):
            by_relation[fact.relation].append(fact)
    kept: list[Fact] = []
    for relation, facts in by_relation.items():
        facts.sort(key=lambda f: (-f.weight, draw("cap", relation, f.key)))
        kept += facts[: CAPS.get(relation, len(facts))]
    for what in ("question", "id"):
        counts = Counter(
            f.question if what == "question" else f"{f.relation}:{f.key}" for f in kept
        )
        if repeated := [text for text, n in counts.items() if n > 1]:
            raise RuntimeError(f"Two facts have the same {what}: {repeated[:5]}.")
    return kept


def components(facts: list[Fact]) -> list[list[Fact]]:
    """Groups of facts that share an entity, directly or through other facts."""
    parent: dict[str, str] = {}

    def find(entity: str) -> str:
        parent.setdefault(entity, entity)
        while parent[entity] != entity:
            entity = parent[entity]
        return entity

    for fact in facts:
        first = find(fact.entities[0])
        for other in fact.entities[1:]:
            parent[find(other)] = first
    groups: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[find(fact.entities[0])].append(fact)
    return list(groups.values())


def assign(facts: list[Fact]) -> dict[str, list[Fact]]:
    """Train, validation and test, a group of tied facts whole in one of them.

    Groups of a kind (countries, cities, elements, languages) are ordered by hash and dealt out by
    question count, so every split has every relation in nearly the same share.
    """
    kinds: dict[str, list[list[Fact]]] = defaultdict(list)
    for group in components(facts):
        kinds[min(f.entities[0].split(":")[0] for f in group)].append(group)
    splits: dict[str, list[Fact]] = {"train": [], "validation": [], "test": []}
    for groups in kinds.values():
        total = sum(map(len, groups))
        room = {split: share * total for split, share in SHARES.items()}
        for group in sorted(groups, key=lambda g: draw("split", min(g[0].entities))):
            split = next((s for s in room if room[s] >= len(group) / 2), "train")
            if any(f"{fact.relation}:{fact.key}" in FIRST for fact in group):
                split = "train"
            room[split] = room.get(split, 0.0) - len(group)
            splits[split] += group
    return splits


def choices(fact: Fact, pool: list[str]) -> tuple[list[str], int]:
    """Four options, one of them right, and its place.

    Distractors come from `fact.near` first, then from the relation's other answers (`pool`).
    """
    accepted = {normalize(form) for form in fact.answers}
    name = f"{fact.relation}:{fact.key}"
    near = sorted(fact.near, key=lambda form: draw("near", name, form))
    rest = sorted(pool, key=lambda form: draw("pool", name, form))
    options: dict[str, str] = {}
    for form in [*near, *rest]:
        if len(options) < 3 and normalize(form) not in accepted:
            options.setdefault(normalize(form), form)
    place = int(4 * draw("gold", name))
    wrong = list(options.values())
    return [*wrong[:place], fact.answers[0], *wrong[place:]], place


def rows(facts: list[Fact], pools: dict[str, list[str]]) -> list[dict]:
    """Rows of one split, in an order that depends on the seed alone."""
    first = {name: place for place, name in enumerate(FIRST)}
    ordered = sorted(
        facts,
        key=lambda f: (
            first.get(f"{f.relation}:{f.key}", len(first)),
            draw("order", f.relation, f.key),
        ),
    )
    out = []
    for fact in ordered:
        options, gold = choices(fact, pools[fact.relation])
        out.append(
            {
                "id": f"{fact.relation}:{fact.key}",
                "relation": fact.relation,
                "subject": fact.subject,
                "question": fact.question,
                "answers": list(fact.answers),
                "choices": options,
                "gold": gold,
            }
        )
    return out


def write(path: Path, items: list[dict]) -> None:
    """Write JSON lines, whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    os.replace(temporary, path)


def build(out: Path) -> dict[str, list[dict]]:
    """Write the four splits to `out` and print what was kept and dropped."""
    for name, found in check_packages().items():
        print(f"{name} {found}")
    src = load_sources()
    unseen = collect(OUT_OF_DOMAIN, src)
    taken = {entity for fact in unseen for entity in fact.entities}
    seen = [f for f in collect(IN_DOMAIN, src) if not taken & set(f.entities)]
    splits = {**assign(seen), "test_ood": unseen}
    pools: dict[str, list[str]] = defaultdict(list)
    for fact in [*seen, *unseen]:
        if fact.answers[0] not in pools[fact.relation]:
            pools[fact.relation].append(fact.answers[0])
    out.mkdir(parents=True, exist_ok=True)
    result = {split: rows(facts, pools) for split, facts in splits.items()}
    for split, items in result.items():
        write(out / f"{split}.jsonl", items)
        counts = Counter(item["relation"] for item in items)
        print(f"{split}: {len(items)} {dict(sorted(counts.items()))}")
    print(f"countries left out: {len(tables.LEFT_OUT)}")
    for code, reason in tables.LEFT_OUT.items():
        print(f"  {code}: {reason}")
    for relation, reasons in src.dropped.items():
        once = dict.fromkeys(reasons)  # some relations are built from others
        print(f"dropped from {relation}: {len(once)}")
        for reason in once:
            print(f"  {reason}")
    return result


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build the WorldFacts splits.")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parents[2] / "worldfacts/data",
        help="folder of the four JSONL files (default: the package's own)",
    )
    try:
        build(parser.parse_args(argv).out)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
