"""Relations about countries.

What GeoNames or CLDR states is kept only where countryinfo (or phonenumbers) agrees or a
hand-written table decides; everything left out is recorded with its reason.
"""

from __future__ import annotations

from harness_tasks.builders.worldfacts import tables
from harness_tasks.builders.worldfacts.keys import normalize
from harness_tasks.builders.worldfacts.sources import (
    Fact,
    Sources,
    capital_names,
    display,
    named,
    names,
    region,
    unique,
)


def _country_fact(
    src: Sources, relation: str, code: str, question: str, answers: list[str], near: list[str]
) -> Fact:
    return Fact(
        relation,
        code,
        names(src, code)[0],
        question.format(named(src, code)),
        unique(answers),
        (f"country:{code}",),
        unique(near),
        src.countries[code]["population"],
    )


def capitals(src: Sources) -> list[Fact]:
    """Capital of a country: GeoNames, confirmed by countryinfo or decided by hand."""
    facts = []
    for code in tables.COUNTRIES:
        if code in tables.NO_CAPITAL:
            src.drop("capital", code, tables.NO_CAPITAL[code])
            continue
        answers = capital_names(src, code)
        theirs = src.witness[code]["capital"]
        if normalize(theirs) not in map(normalize, answers):
            src.drop("capital", code, f"{answers[0]} against {theirs}")
            continue
        cities = [display(src, c) for c in src.cities if c["countrycode"] == code][:6]
        elsewhere = [
            capital_names(src, c)[0] for c in region(src, code) if c not in tables.NO_CAPITAL
        ][:12]
        facts.append(
            _country_fact(
                src, "capital", code, "What is the capital of {}?", answers, cities + elsewhere
            )
        )
    return facts


def capital_countries(src: Sources) -> list[Fact]:
    """Country of a capital, where the capital's name does not hold the country's."""
    facts = []
    for fact in capitals(src):
        code, capital = fact.key, fact.answers[0]
        shared = set(normalize(capital).split()) & set(normalize(fact.subject).split())
        if shared - {"city"}:
            src.drop("capital_country", capital, "name gives the country away")
            continue
        near = [names(src, c)[0] for c in region(src, code)][:15]
        facts.append(
            Fact(
                "capital_country",
                code,
                capital,
                f"Which country has {capital} as its capital?",
                unique(names(src, code) + (["England"] if code == "GB" else [])),
                fact.entities,
                unique(near),
                fact.weight,
            )
        )
    return facts


def continents(src: Sources) -> list[Fact]:
    """Continent of a country: GeoNames, confirmed by countryinfo's region."""
    facts = []
    for code in tables.COUNTRIES:
        ours = src.countries[code]["continentcode"]
        region = {
            "Americas": ("NA", "SA"),
            "Africa": ("AF",),
            "Asia": ("AS",),
            "Europe": ("EU",),
            "Oceania": ("OC",),
        }.get(src.witness[code]["region"], ())
        if code in tables.NO_CONTINENT or ours not in region:
            src.drop("continent", code, tables.NO_CONTINENT.get(code, "sources disagree"))
            continue
        near = [forms[0] for forms in tables.CONTINENTS.values()]
        facts.append(
            _country_fact(
                src,
                "continent",
                code,
                "On which continent is {}?",
                tables.CONTINENTS[ours] + tables.ALSO_CONTINENT.get(code, []),
                near,
            )
        )
    return facts


def currency_forms(src: Sources, code: str) -> list[str]:
    """Accepted names of a currency: by hand, CLDR's, its plural, the bare unit, the ISO code."""
    cldr = src.english.currencies[code]
    unit = cldr.split()[-1].lower()
    first = cldr.split()[0]
    own = tables.CURRENCY_NAMES.get(code) or [
        cldr if len(cldr.split()) == 1 else cldr[: -len(unit)] + unit
    ]
    bare = [] if first.lower() == unit else [unit]
    plural = [] if unit.endswith(("s", "z")) or code in ("EUR",) else [unit + "s"]
    return [*own, cldr, *bare, *plural, code]


def _currency(src: Sources, code: str) -> str | None:
    """ISO code of a country's currency where GeoNames and CLDR agree, else None."""
    from babel.numbers import get_territory_currencies

    ours = src.countries[code]["currencycode"]
    return ours if ours in get_territory_currencies(code) else None


def currencies(src: Sources) -> list[Fact]:
    """Currency of a country: GeoNames and CLDR agree."""
    facts = []
    for code in tables.COUNTRIES:
        iso = _currency(src, code)
        if code in tables.NO_CURRENCY or iso is None:
            src.drop("currency", code, tables.NO_CURRENCY.get(code, "sources disagree"))
            continue
        answers = currency_forms(src, iso)
        for second in tables.SECOND_CURRENCY.get(code, []):
            answers += currency_forms(src, second)
        near = [
            currency_forms(src, other)[0]
            for c in region(src, code)
            if c not in tables.NO_CURRENCY and (other := _currency(src, c))
        ]
        facts.append(
            _country_fact(src, "currency", code, "What is the currency of {}?", answers, near[:15])
        )
    return facts


def currency_codes(src: Sources) -> list[Fact]:
    """ISO 4217 code of a country's own currency."""
    facts = []
    for code in tables.COUNTRIES:
        iso = _currency(src, code)
        if iso is None or code in tables.NO_CURRENCY or code in tables.SECOND_CURRENCY:
            continue
        if iso in ("EUR", "XAF", "XOF", "XCD") or (iso == "USD" and code != "US"):
            continue
        near = [other for c in region(src, code) if (other := _currency(src, c))]
        near.sort(key=lambda other: other[0] != iso[0])
        facts.append(
            _country_fact(
                src,
                "currency_code",
                code,
                "What is the three-letter ISO code of the currency of {}?",
                [iso],
                near[:10],
            )
        )
    return facts


def languages(src: Sources) -> list[Fact]:
    """Official language of a country: by hand, else CLDR and countryinfo state the same ones."""
    from babel.languages import get_official_languages

    facts = []
    for code in tables.COUNTRIES:
        spoken = tables.LANGUAGES.get(code)
        if spoken is None:
            ours = {tag.split("_")[0] for tag in get_official_languages(code)}
            if ours == set(src.witness[code]["languages"]):
                spoken = sorted(ours)
        if code in tables.NO_LANGUAGE or not spoken:
            src.drop("language", code, tables.NO_LANGUAGE.get(code, "sources disagree"))
            continue
        answers = []
        for tag in spoken:
            answers += [src.english.languages.get(tag, ""), *tables.LANGUAGE_ALIASES.get(tag, [])]
        near = [
            src.english.languages.get(tag)
            for tag in ("en", "fr", "es", "ar", "pt", "ru", "de", "sw", "hi", "zh", "nl", "it")
        ]
        question = (
            "What is the official language of {}?"
            if len(spoken) == 1
            else "What is one of the official languages of {}?"
        )
        facts.append(
            _country_fact(src, "language", code, question, [a for a in answers if a], near)
        )
    return facts


def adjectives(src: Sources) -> list[Fact]:
    """Adjective of a country, by hand."""
    facts = []
    for code, forms in tables.ADJECTIVES.items():
        near = [
            tables.ADJECTIVES[c].split("|")[0] for c in region(src, code) if c in tables.ADJECTIVES
        ]
        facts.append(
            _country_fact(
                src,
                "demonym",
                code,
                "What do you call a person from {}?",
                forms.split("|"),
                near[:15],
            )
        )
    return facts


def demonym_countries(src: Sources) -> list[Fact]:
    """Country of an adjective that belongs to one country only, by hand."""
    facts = []
    for code, forms in tables.ADJECTIVES.items():
        adjective = forms.split("|")[0]
        others = [
            c
            for c, theirs in tables.ADJECTIVES.items()
            if adjective in theirs.split("|") and c != code
        ]
        if others or code in tables.SHARED_ADJECTIVE:
            src.drop(
                "demonym_country", adjective, "belongs to several countries or only to a person"
            )
            continue
        article = "an" if adjective[0] in "AEIO" or adjective.startswith("Uz") else "a"
        near = [names(src, c)[0] for c in region(src, code)][:15]
        facts.append(
            Fact(
                "demonym_country",
                code,
                adjective,
                f"Which country does {article} {adjective} person come from?",
                unique(names(src, code)),
                (f"country:{code}",),
                unique(near),
                src.countries[code]["population"],
            )
        )
    return facts


def calling_codes(src: Sources) -> list[Fact]:
    """International calling code: GeoNames, countryinfo and phonenumbers agree."""
    from phonenumbers import country_code_for_region

    facts = []
    for code in tables.COUNTRIES:
        ours = str(src.countries[code]["phone"]).lstrip("+")
        theirs = src.witness[code]["callingCodes"]
        if theirs != [ours] or ours != str(country_code_for_region(code)) or ours in ("1", "7"):
            src.drop("calling_code", code, "shared or disputed code")
            continue
        near = sorted(
            (
                str(src.countries[c]["phone"])
                for c in tables.COUNTRIES
                if str(src.countries[c]["phone"]).isdigit() and c != code
            ),
            key=lambda other: (abs(int(other) - int(ours)), other),
        )
        facts.append(
            _country_fact(
                src,
                "calling_code",
                code,
                "What is the international telephone calling code of {}?",
                [f"+{ours}", ours, f"00{ours}"],
                [f"+{n}" for n in near[:10]],
            )
        )
    return facts


def top_level_domains(src: Sources) -> list[Fact]:
    """Country-code top-level domain: GeoNames and countryinfo agree."""
    facts = []
    for code in tables.COUNTRIES:
        ours = src.countries[code]["tld"]
        if ours not in src.witness[code]["tld"]:
            src.drop("tld", code, "sources disagree")
            continue
        near = [src.countries[c]["tld"] for c in tables.COUNTRIES if c != code]
        near.sort(key=lambda other: (other[1] != ours[1], other))
        facts.append(
            _country_fact(
                src, "tld", code, "What is the internet top-level domain of {}?", [ours], near[:8]
            )
        )
    return facts


def neighbours(src: Sources) -> list[Fact]:
    """A land neighbour: GeoNames and countryinfo list the same set."""
    overseas = {"FR", "NL", "DK", "GB", "ES", "US"}
    alpha3 = {src.countries[c]["iso3"]: c for c in src.countries}
    facts = []
    for code in tables.COUNTRIES:
        ours = {c for c in src.countries[code]["neighbours"].split(",") if c}
        theirs = {alpha3[c] for c in src.witness[code]["borders"] if c in alpha3}
        if not ours and not theirs:
            continue
        if code in overseas or ours != theirs or not ours <= set(tables.COUNTRIES):
            src.drop(
                "neighbour",
                code,
                "overseas borders"
                if code in overseas
                else f"disputed: {','.join(sorted(ours ^ theirs)) or 'status'}",
            )
            continue
        largest = sorted(ours, key=lambda c: -src.countries[c]["population"])
        near = [names(src, c)[0] for c in region(src, code) if c not in ours][:12]
        facts.append(
            _country_fact(
                src,
                "neighbour",
                code,
                "Which country borders {}?",
                [form for c in largest for form in names(src, c)]
                + (["Northern Ireland"] if "GB" in ours else []),
                near,
            )
        )
    return facts
