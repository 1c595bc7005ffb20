"""Relations about chemical elements, language codes, works of art, units and myths."""

from __future__ import annotations

from harness_tasks.builders.worldfacts import works
from harness_tasks.builders.worldfacts.keys import normalize
from harness_tasks.builders.worldfacts.sources import Fact, Sources, names, unique

ELEMENT_ALIASES = {
    "Aluminum": ["aluminium"],
    "Cesium": ["caesium"],
    "Sulfur": ["sulphur"],
    "Tungsten": ["wolfram"],
}


def elements(src: Sources) -> list[Fact]:
    """Name, symbol and atomic number of the chemical elements: mendeleev and periodictable."""
    facts, table = [], src.elements
    for i, (number, symbol, name) in enumerate(table):
        near = sorted(
            (row for row in table if row[0] != number),
            key=lambda row: (row[1][0] != symbol[0], abs(row[0] - number)),
        )[:6]
        close = [table[j] for j in range(max(0, i - 4), min(len(table), i + 5)) if j != i]
        forms = [name.lower(), *ELEMENT_ALIASES.get(name, [])]
        for relation, subject, question, answers, others in (
            (
                "symbol_element",
                symbol,
                f"Which chemical element has the symbol {symbol}?",
                forms,
                [row[2].lower() for row in near],
            ),
            (
                "element_symbol",
                forms[0],
                f"What is the chemical symbol of {forms[0]}?",
                [symbol],
                [row[1] for row in near],
            ),
            (
                "atomic_number",
                forms[0],
                f"What is the atomic number of {forms[0]}?",
                [str(number)],
                [str(row[0]) for row in close],
            ),
            (
                "number_element",
                str(number),
                f"Which chemical element has atomic number {number}?",
                forms,
                [row[2].lower() for row in close],
            ),
        ):
            facts.append(
                Fact(
                    relation,
                    symbol,
                    subject,
                    question,
                    unique(answers),
                    (f"element:{symbol}",),
                    unique(others),
                    119 - number,
                )
            )
    return facts


LANGUAGE_CODES = (
    "af am ar az be bg bn bo br bs ca cs cy da de el en eo es et eu fa fi fr ga gd gl gu ha he hi "
    "hr ht hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my "
    "nb ne nl oc or pa pl ps pt qu ro ru rw sa sd si sk sl sm sn so sq sr st su sv sw ta te tg th "
    "ti tk tn to tr tt ug uk ur uz vi wo xh yi yo za zh zu"
).split()
# Other names of those languages.
CODE_ALIASES = {
    "az": ["Azeri"],
    "be": ["Belarussian"],
    "bn": ["Bengali"],
    "ca": ["Valencian"],
    "el": ["Modern Greek"],
    "es": ["Castilian"],
    "fa": ["Farsi"],
    "ga": ["Irish Gaelic", "Gaelic"],
    "gd": ["Gaelic", "Scots Gaelic"],
    "ht": ["Haitian"],
    "id": ["Bahasa Indonesia"],
    "ku": ["Kurmanji"],
    "ky": ["Kirghiz"],
    "lb": ["Letzeburgesch"],
    "ms": ["Bahasa Melayu", "Bahasa Malaysia"],
    "my": ["Myanmar"],
    "nb": ["Bokmål", "Norwegian"],
    "nl": ["Flemish"],
    "or": ["Oriya"],
    "pa": ["Panjabi"],
    "ps": ["Pushto"],
    "si": ["Sinhalese"],
    "sl": ["Slovene"],
    "st": ["Sesotho", "Sotho"],
    "sw": ["Kiswahili"],
    "tn": ["Setswana"],
    "to": ["Tonga"],
    "ug": ["Uighur"],
    "zh": ["Mandarin"],
}


def language_codes(src: Sources) -> list[Fact]:
    """Language of an ISO 639-1 code (CLDR)."""
    facts = []
    for tag in LANGUAGE_CODES:
        name = src.english.languages[tag]
        near = [
            src.english.languages[t]
            for t in sorted(LANGUAGE_CODES, key=lambda t: (t[0] != tag[0], t))
            if t != tag
        ][:8]
        facts.append(
            Fact(
                "language_code",
                tag,
                tag,
                f'Which language has the ISO 639-1 code "{tag}"?',
                unique([name, *CODE_ALIASES.get(tag, [])]),
                (f"language:{tag}",),
                unique(near),
            )
        )
    return facts


def person_forms(name: str) -> tuple[str, ...]:
    """A person's full name, other names and surname."""
    last = name.split()[-1]
    short = [] if last in ("Younger", "II") else [last]
    return unique([name, *works.PERSON_ALIASES.get(name, []), *short])


def creative_works(src: Sources) -> list[Fact]:
    """Authors, painters, composers and directors, by hand."""
    facts = []
    for relation, table, question in (
        ("book_author", works.BOOK_AUTHOR, 'Who wrote the literary work "{}"?'),
        ("painting_artist", works.PAINTING_ARTIST, 'Which artist made the picture "{}"?'),
        ("music_composer", works.MUSIC_COMPOSER, 'Who composed "{}"?'),
        ("film_director", works.FILM_DIRECTOR, 'Who directed the film "{}"?'),
    ):
        for title, person in table.items():
            facts.append(
                Fact(
                    relation,
                    normalize(title).replace(" ", "_"),
                    title,
                    question.format(title),
                    person_forms(person),
                    (f"work:{title}",),
                )
            )
    return facts


def small_tables(src: Sources) -> list[Fact]:
    """Roman counterparts of Greek figures and SI units, by hand."""
    facts = []
    for relation, table, question in (
        (
            "roman_name",
            works.ROMAN_GOD,
            "In Roman mythology, who is the counterpart of the Greek {}?",
        ),
        ("si_unit", works.SI_UNIT, "What is the SI unit of {}?"),
    ):
        for subject, answers in table.items():
            facts.append(
                Fact(
                    relation,
                    normalize(subject).replace(" ", "_"),
                    subject,
                    question.format(subject),
                    unique(answers),
                    (f"{relation}:{subject}",),
                )
            )
    return facts


def origins(src: Sources) -> list[Fact]:
    """Country of a landmark and of a company, by hand."""
    facts = []
    for relation, table, question in (
        ("landmark_country", works.LANDMARK_COUNTRY, "In which country would you find {}?"),
        ("company_country", works.COMPANY_COUNTRY, "In which country was the company {} founded?"),
    ):
        for subject, where in table.items():
            code, *part = where.split()
            facts.append(
                Fact(
                    relation,
                    normalize(subject).replace(" ", "_"),
                    subject,
                    question.format(subject),
                    unique([*names(src, code), *part]),
                    (f"{relation}:{subject}",),
                )
            )
    return facts
