"""Relations about cities and airports: GeoNames, confirmed by airportsdata."""

from __future__ import annotations

from collections import defaultdict

from harness_tasks.builders.worldfacts import tables, works
from harness_tasks.builders.worldfacts.countries import continents
from harness_tasks.builders.worldfacts.keys import normalize
from harness_tasks.builders.worldfacts.sources import (
    DISPUTED,
    RIVAL,
    Fact,
    Sources,
    capital_keys,
    capital_names,
    display,
    fold,
    names,
    region,
    same_name,
    towns_known,
    unique,
)


def city_countries(src: Sources, smallest: int = 100_000, per_country: int = 45) -> list[Fact]:
    """Country of a city that both GeoNames and airportsdata know; capitals are asked elsewhere.

    A name that several countries share accepts each whose city has at least `RIVAL` of the
    largest one's people; a name that more than three share is dropped.
    """
    towns, capitals_, taken = towns_known(src), capital_keys(src), defaultdict(int)
    facts = []
    for key, group in same_name(src).items():
        city = group[0]
        code, name = city["countrycode"], display(src, city)
        if city["population"] < smallest or code not in tables.COUNTRIES or code == "US":
            continue
        if (code, key) not in towns or key in capitals_ or (code, city["admin1code"]) in DISPUTED:
            continue
        if city["name"] in tables.NO_CITY:
            src.drop("city_country", name, tables.NO_CITY[city["name"]])
            continue
        rivals = [c for c in group if c["population"] >= RIVAL * city["population"]]
        where = list(dict.fromkeys(c["countrycode"] for c in rivals))
        if len(where) > 3 or not set(where) <= set(tables.COUNTRIES):
            src.drop("city_country", name, "shared by " + ",".join(where))
            continue
        country_words = " ".join(normalize(names(src, c)[0]) for c in where).split()
        if set(normalize(name).split()) & set(country_words):
            src.drop("city_country", name, "name gives the country away")
            continue
        taken[code] += 1
        if taken[code] > per_country:
            continue
        parts = [tables.UK_PARTS[c["admin1code"]] for c in rivals if c["countrycode"] == "GB"]
        near = [names(src, c)[0] for c in region(src, code)][:15]
        facts.append(
            Fact(
                "city_country",
                key.replace(" ", "_"),
                name,
                f"In which country is the city of {name}?",
                unique([n for c in where for n in names(src, c)] + parts),
                (f"city:{key}",),
                unique(near),
                city["population"],
            )
        )
    return facts


def city_continents(src: Sources) -> list[Fact]:
    """Continent of a capital or another city, where country and continent are beyond doubt."""
    facts, namesakes = [], same_name(src)
    for fact in continents(src):
        if fact.key not in tables.NO_CAPITAL:
            capital = capital_names(src, fact.key)[0]
            group = namesakes.get(normalize(fold(capital)), [])
            own = max((c["population"] for c in group if c["countrycode"] == fact.key), default=0)
            where = {
                src.countries[c["countrycode"]]["continentcode"]
                for c in group
                if c["population"] >= RIVAL * own
            }
            if len(where) > 1:
                src.drop("city_continent", capital, "shared by continents")
                continue
            facts.append(
                Fact(
                    "city_continent",
                    normalize(fold(capital)).replace(" ", "_"),
                    capital,
                    f"On which continent is the city of {capital}?",
                    fact.answers,
                    fact.entities,
                    fact.near,
                    fact.weight,
                )
            )
    by_name = {names(src, f.key)[0]: f for f in continents(src)}
    for city in city_countries(src):
        country = by_name.get(city.answers[0])
        own = {*names(src, country.key), *tables.UK_PARTS.values()} if country else set()
        if country and set(city.answers) <= own:
            facts.append(
                Fact(
                    "city_continent",
                    city.key,
                    city.subject,
                    f"On which continent is the city of {city.subject}?",
                    country.answers,
                    city.entities,
                    country.near,
                    city.weight,
                )
            )
    return facts


def airport_cities(src: Sources) -> list[Fact]:
    """City of a well-known airport: by hand; airportsdata knows the code in that country."""
    capitals_, facts = capital_keys(src), []
    for iata, (name, code) in tables.AIRPORTS.items():
        if src.airports[iata]["country"] != code:
            raise ValueError(
                f"Airport {iata} is in {src.airports[iata]['country']} for "
                f"airportsdata and in {code} for tables.AIRPORTS; correct the table."
            )
        key = normalize(fold(name))
        capital = capitals_.get(key) == code
        forms = capital_names(src, code) if capital else []
        near = [
            display(src, c)
            for c in src.cities
            if c["countrycode"] == code and normalize(fold(c["name"])) != key
        ][:6]
        near += [
            other
            for other, where in tables.AIRPORTS.values()
            if where != code
            and src.countries[where]["continentcode"] == src.countries[code]["continentcode"]
        ]
        facts.append(
            Fact(
                "airport_city",
                iata,
                iata,
                f"Which city does the airport with the IATA code {iata} serve?",
                unique([name, *tables.CITIES.get(name, []), *forms]),
                (f"country:{code}" if capital else f"city:{key}", f"city:{key}"),
                unique(near[:14]),
            )
        )
    return facts


def us_states(src: Sources) -> list[Fact]:
    """Capital and postal abbreviation of the fifty US states."""
    facts, towns = [], towns_known(src)
    for code, capital in works.US_STATE_CAPITAL.items():
        name = src.states[code]["name"]
        entity = (f"state:{code}", f"city:{normalize(capital)}")
        others = [c for c in sorted(works.US_STATE_CAPITAL) if c != code]
        own = [
            c["name"]
            for c in src.cities
            if c["countrycode"] == "US"
            and c["admin1code"] == code
            and capital not in c["name"]
            and ("US", normalize(c["name"])) in towns
        ][:3]
        answers = [capital] + (["St. Paul"] if capital == "Saint Paul" else [])
        facts.append(
            Fact(
                "us_state_capital",
                code,
                name,
                f"Which city is the capital of the U.S. state of {name}?",
                unique(answers),
                entity,
                tuple(own),
            )
        )
        near = [src.states[c]["name"] for c in others if c[0] == code[0]]
        facts.append(
            Fact(
                "us_state_abbreviation",
                code,
                code,
                f"Which U.S. state has the postal abbreviation {code}?",
                (name,),
                entity[:1],
                tuple(near),
            )
        )
    return facts


def us_city_states(src: Sources, smallest: int = 100_000) -> list[Fact]:
    """State of a large US city that is not a state capital; a name shared by states is dropped."""
    towns, facts = towns_known(src), []
    capitals_ = {normalize(c) for c in works.US_STATE_CAPITAL.values()} | set(capital_keys(src))
    for key, group in same_name(src).items():
        american = [c for c in group if c["countrycode"] == "US"]
        if not american or american[0] is not group[0] or key in capitals_:
            continue
        city = group[0]
        if city["population"] < smallest or ("US", key) not in towns:
            continue
        if city["name"] in tables.NO_CITY:
            src.drop("us_city_state", city["name"], tables.NO_CITY[city["name"]])
            continue
        rivals = [c for c in american if c["population"] >= RIVAL * city["population"]]
        where = list(dict.fromkeys(c["admin1code"] for c in rivals))
        if len(where) > 2 or not set(where) <= set(works.US_STATE_CAPITAL):
            src.drop("us_city_state", city["name"], "shared by " + ",".join(where))
            continue
        answers = [form for code in where for form in (src.states[code]["name"], code)]
        if set(normalize(" ".join(answers)).split()) & set(normalize(city["name"]).split()):
            src.drop("us_city_state", city["name"], "name gives the state away")
            continue
        facts.append(
            Fact(
                "us_city_state",
                key.replace(" ", "_"),
                city["name"],
                f"In which U.S. state is the city of {city['name']}?",
                unique(answers),
                (f"city:{key}",),
                (),
                city["population"],
            )
        )
    return facts
