"""Cases of the commands that read users' tables: score, prepare, template, self-instruct."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from audit import inputs
from audit.damage import Expected
from audit.suites import Suite
from audit.trial import Case

FEW = ("--resamples", "5")
_NUMBERS = ("half", "true", "an empty text", "null", "missing")


def score(root: Path) -> Iterator[Case]:
    """`calibench score` of tables."""
    made = {
        "csv": inputs.table(inputs.ROWS),
        "jsonl": inputs.lines(inputs.ROWS),
        "parquet": inputs.parquet(inputs.ROWS),
    }
    for kind, content in made.items():
        name = f"t.{kind}"
        suite = Suite(f"score {kind}", root, {name: content}, ["score", name, *FEW])
        yield from suite.valid()
        yield from suite.of_bytes(name, kind)  # type: ignore[arg-type]
        yield from suite.of_places(name)
        if kind == "jsonl":
            yield from suite.of_rows(name, _cell)
        case = suite.write(suite.case("a name that is not UTF-8", "any", arguments=[
            "score", b"\xff.csv", *FEW]))  # fmt: skip
        os.rename(case.folder / name, os.fsencode(case.folder) + b"/\xff.csv")
        yield case
    suite = Suite("score options", root, {"t.csv": made["csv"]}, ["score", "t.csv"])
    yield from suite.valid()
    yield from suite.of_options(_SCORE_OPTIONS)
    written = Suite(
        "score outputs", root, {"t.csv": made["csv"]},
        ["score", "t.csv", *FEW, "--json", "o.json"], ["o.json"],
    )  # fmt: skip
    yield from written.valid()
    yield from (each for each in written.of_outputs("o.json") if "is a file" not in each.what)
    drawn = Suite(
        "score figures", root, {"t.csv": made["csv"]}, ["score", "t.csv", *FEW, "--figures", "f"]
    )
    yield from drawn.of_outputs("f", exists="any")
    yield from _cells(root)


def _cell(path: tuple, name: str) -> Expected:
    if path == ("q",):
        return "any"
    if path == ("confidence",):
        return "any" if name in ("half", "null", "missing", "NaN", "an empty text") else "refused"
    return "any" if name == "true" else "refused"


_SCORE_OPTIONS: dict[tuple[str, ...], Expected] = {
    ("--bins", "0"): "refused",
    ("--bins", "-3"): "refused",
    ("--bins", "1000000000"): "refused",
    ("--bins", "x"): "refused",
    ("--resamples", "-1"): "refused",
    ("--resamples", "1000000000"): "refused",
    ("--resamples", "1.5"): "refused",
    ("--seed", "-1"): "any",
    ("--seed", str(10**30)): "any",
    ("--metrics", ""): "refused",
    ("--metrics", ","): "refused",
    ("--metrics", "eec"): "refused",
    ("--metrics", "ece,ece"): "any",
    ("--metrics", "selective_acc@2"): "refused",
    ("--strategy", "wide"): "refused",
    ("--norm", "l3"): "refused",
    ("--missing", "impute"): "refused",
    ("--interval", "normal"): "refused",
    ("--scale", "percent"): "any",
    ("--scale", "logit"): "refused",
    ("--confidence", "nothing"): "refused",
    ("--confidence", ""): "refused",
    ("--confidence", "correct"): "refused",
    ("--correct", "q"): "refused",
    ("--group", "nothing"): "refused",
    ("--by", "nothing"): "refused",
    ("--by", ""): "refused",
    ("--group", ""): "refused",
    ("--format", "xlsx"): "refused",
    ("--format", "jsonl"): "refused",
    ("--format", "parquet"): "refused",
    ("--format", ""): "refused",
    ("--method", "\udcff"): "any",
    ("--json", ""): "refused",
    ("--json", "missing/folder/o.json"): "any",
    ("--figures", "t.csv"): "refused",
    ("--figures", ""): "refused",
    ("missing.csv",): "refused",
    ("",): "refused",
    (".",): "refused",
    ("/dev/zero",): "refused",
    ("/dev/null",): "refused",
    ("-",): "refused",
    ("t.csv", "--unknown"): "refused",
}


def _cells(root: Path) -> Iterator[Case]:
    """Cells of a CSV that are no confidence or no verdict."""
    rows = inputs.ROWS
    suite = Suite("score cells", root, {"t.csv": inputs.table(rows)}, ["score", "t.csv", *FEW])
    for column in ("confidence", "correct"):
        for cell in ("x", "1.5", "-0.1", "95%", "0,5", "1e999", "inf", "1" * 400, "[]", "½"):
            changed = [dict(row) for row in rows]
            changed[3][column] = cell
            content = inputs.table(changed)
            yield suite.write(suite.case(f"{column} {cell[:9]}", "refused"), {"t.csv": content})
    for cell in ("", "NaN", "NA", "null", "None"):
        changed = [dict(row) for row in rows]
        changed[3]["correct"] = cell
        content = inputs.table(changed)
        yield suite.write(suite.case(f"correct {cell!r}", "refused"), {"t.csv": content})
    twice = inputs.table(rows).replace(b",q\n", b",confidence\n")
    yield suite.write(suite.case("a column twice", "refused"), {"t.csv": twice})


def prepare(root: Path) -> Iterator[Case]:
    """`calibench prepare` of records."""
    outputs = ["o"]
    for kind, content in (
        ("jsonl", inputs.lines(inputs.INSTRUCTIONS)),
        ("csv", inputs.table(inputs.INSTRUCTIONS)),
        ("parquet", inputs.parquet(inputs.INSTRUCTIONS)),
    ):
        name = f"t.{kind}"
        suite = Suite(
            f"prepare {kind}", root, {name: content}, ["prepare", name, "-o", "o"], outputs
        )
        yield from suite.valid()
        yield from suite.of_bytes(name, kind, not_UTF_8="refused")  # type: ignore[arg-type]
        yield from suite.of_places(name)
        if kind == "jsonl":
            yield from suite.of_rows(name, _record)
            yield from suite.of_outputs("o")
    suite = Suite(
        "prepare options", root, {"t.jsonl": inputs.lines(inputs.INSTRUCTIONS)},
        ["prepare", "t.jsonl", "-o", "o"], outputs,
    )  # fmt: skip
    yield from suite.valid()
    yield from suite.of_options(_PREPARE_OPTIONS)
    for where in (".", "..", "/usr", "/", "./missing", "/dev/zero", "", "a/b", "x:y"):
        yield suite.write(suite.case(
            f"source {where}", "refused", arguments=["prepare", where, "-o", "o"],
            environment={"HF_HUB_OFFLINE": "1"}))  # fmt: skip
    messages = [
        {"messages": [{"role": "user", "content": f"q {i}"}, {"role": "assistant", "content": "a"}]}
        for i in range(30)
    ]
    suite = Suite(
        "prepare messages", root, {"t.jsonl": inputs.lines(messages)},
        ["prepare", "t.jsonl", "-o", "o"], outputs,
    )  # fmt: skip
    yield from suite.valid()
    yield from suite.of_rows("t.jsonl", lambda path, name: "any" if "text" in name else "refused")


def _record(path: tuple, name: str) -> Expected:
    if path == ("input",):
        return "refused" if name in ("half a character", "a list", "an object") else "any"
    return "any" if name in ("a text", "a text of a megabyte") else "refused"


_PREPARE_OPTIONS: dict[tuple[str, ...], Expected] = {
    ("--split", "train"): "refused",
    ("--split", "train=nothing"): "refused",
    ("--split", "other=train"): "refused",
    ("--shares", "train=2"): "refused",
    ("--shares", "train=-1,validation=2"): "refused",
    ("--shares", "train=nan,validation=nan"): "refused",
    ("--shares", "train=inf,validation=0"): "refused",
    ("--shares", "train=1"): "refused",
    ("--shares", "x"): "refused",
    ("--limit", "train=0"): "refused",
    ("--limit", "train=1.5"): "refused",
    ("--limit", "train=-1"): "refused",
    ("--limit", "nobody=3"): "refused",
    ("--column", "output=missing"): "refused",
    ("--column", "unknown=output"): "refused",
    ("--column", "output"): "refused",
    ("--redivide",): "any",
    ("--redivide", "--split", "train=train"): "refused",
    ("--include_path", "missing"): "refused",
    ("--include_path", "t.jsonl"): "refused",
    ("--model_args", "x"): "refused",
    ("--model_args", "tokenizer="): "any",
    ("--model_args", "{"): "refused",
    ("--seed", "x"): "refused",
    ("t.jsonl",): "any",
    ("train=t.jsonl",): "any",
    ("validation=missing.jsonl",): "refused",
    ("--unknown",): "refused",
}


def template(root: Path) -> Iterator[Case]:
    """`calibench template`."""
    for kind, content in (
        ("jsonl", inputs.lines(inputs.TEXTS)),
        ("csv", inputs.table(inputs.TEXTS)),
        ("parquet", inputs.parquet(inputs.TEXTS)),
    ):
        name = f"t.{kind}"
        words = ["template", "general", "--data", name, "-o", "o"]
        suite = Suite(f"template {kind}", root, {name: content}, words, ["o"])
        yield from suite.valid()
        yield from suite.of_bytes(  # type: ignore[arg-type]
            name, kind, not_UTF_8="refused", twice="refused"
        )
        yield from suite.of_places(name)
        if kind == "jsonl":
            yield from suite.of_rows(name, _text)
            yield from suite.of_outputs("o")
    content = inputs.lines(inputs.TEXTS)
    custom = ["template", "custom", "--data", "t.jsonl", "-o", "o", "--prompt"]
    suite = Suite("template options", root, {"t.jsonl": content}, [*custom, "{{prompt}}"], ["o"])
    yield from suite.valid()
    yield from suite.of_options({(prompt,): "refused" for prompt in _PROMPTS}, instead=custom)
    yield from suite.of_options(_TEMPLATE_OPTIONS)
    for kind in ("classification", "truthfulqa", "llm_as_judge", "confidence", "nothing"):
        words = ["template", kind, "--data", "t.jsonl", "-o", "o"]
        expected: Expected = "any" if kind == "llm_as_judge" else "refused"
        yield suite.write(suite.case(f"template {kind}", expected, arguments=words))


def _text(path: tuple, name: str) -> Expected:
    if path == ("id",):
        return "refused" if name == "half a character" else "any"
    if path == ("reference",):
        return "any" if "text" in name else "refused"
    return "any" if name in ("a text", "a text of a megabyte") else "refused"


_PROMPTS = (
    "",
    "constant",
    "{{ nothing }}",
    "{{ prompt",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{{ prompt * 10**9 }}",
    "{{ 9**9**9 }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{% include '/etc/passwd' %}",
    "{{ prompt | nothing }}",
    "{{ 1 / 0 }}",
    "\ud800",
)
_TEMPLATE_OPTIONS: dict[tuple[str, ...], Expected] = {
    ("--metrics", ""): "refused",
    ("--metrics", "acc"): "refused",
    ("--metrics", "bleu,bleu"): "any",
    ("--name", ""): "any",
    ("--name", "../x"): "refused",
    ("--name", "a b"): "refused",
    ("--name", "null"): "refused",
    ("--name", "1e5"): "any",
    ("--name", "n" * 300): "refused",
    ("--column", "reference"): "refused",
    ("--column", "nothing=prompt"): "refused",
    ("--column", "reference=nothing"): "refused",
    ("--data", "missing.jsonl"): "refused",
    ("--data", ""): "refused",
    ("--data", "."): "refused",
}


def self_instruct(root: Path) -> Iterator[Case]:
    """`calibench self-instruct`, whose teacher is lm-eval's dummy model."""
    words = ["self-instruct", "t.jsonl", "--rows", "2", "--model", "dummy", "-o", "o"]
    content = inputs.lines(inputs.INSTRUCTIONS)
    suite = Suite("self-instruct", root, {"t.jsonl": content}, words, ["o"])
    # The dummy writes nothing that could be kept, so that even valid seeds end in a refusal.
    yield from (each for each in suite.of_bytes("t.jsonl", "jsonl") if each.expected != "same")
    yield from (each for each in suite.of_places("t.jsonl") if each.expected != "same")
    yield from suite.of_rows("t.jsonl", lambda path, name: "refused")
    yield from suite.of_options({
        ("--rows", "0"): "refused", ("--rows", "x"): "refused", ("--model", "nothing"): "refused",
        ("--model", "hf"): "refused",
        ("--model", "hf", "--model_args", "pretrained=./no"): "refused",
        ("--model_args", "x"): "refused", ("--batch_size", "0"): "refused",
        ("--batch_size", "x"): "refused", ("--temperature", "-1"): "refused",
        ("--temperature", "inf"): "refused", ("--temperature", "nan"): "refused",
        ("--top_p", "0"): "refused", ("--top_p", "nan"): "refused",
        ("--max_tokens", "0"): "refused",
        ("--novelty", "2"): "refused", ("--prompts", "-1"): "refused", ("--seed", "x"): "refused",
        ("--device", "nope"): "refused",
    })  # fmt: skip
