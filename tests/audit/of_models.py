"""Cases of the commands that load a model, a tiny one with random weights: tune, eval."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from audit import inputs
from audit.damage import Expected
from audit.suites import Suite
from audit.trial import Case

SECONDS = 90.0
_METADATA = (
    "3", "[]", "null", '"text"', "true", "{", "{'a': 1}", '{"methods": 3}', '{"methods": []}',
    '{"methods": ["nothing"]}', '{"methods": {"a": 1}}', '{"methods": [1]}', '{"k": 0}',
    '{"k": -1}',
    '{"k": "x"}', '{"k": 1e99}', '{"split": 3}', '{"split": "nothing"}', '{"answers": 3}',
    '{"answers": "missing"}', '{"answers": "."}', '{"answers": "/dev/null"}',
    '{"temperature": "x"}',
    '{"temperature": -1}', '{"temperature": NaN}', '{"temperature": Infinity}', 
    '{"reply_tokens": -1}', '{"grading": "nothing"}', '{"grading": 1}',
    '{"grading": "judge:missing"}',
    '{"methods": ["sampling"], "k": null}', "methods=nothing", "=",
)  # fmt: skip
_STOCK = (
    "dtype", "max_length", "nothing", "peft", "tokenizer", "revision", "max_gen_toks", "batch_size",
    "parallelize", "temperature",
)  # fmt: skip


def evaluate(root: Path, model: str, adapter: Path) -> Iterator[Case]:
    """`calibench eval` with wrong options."""
    words = [
        "eval", "--model", "calib-hf", "--model_args", f"pretrained={model},dtype=float32",
        "--tasks", "calib_worldfacts", "--device", "cpu", "--limit", "1", "--output_path", "o",
        "--metadata", '{"methods": ["zero_shot_classifier"]}', "--log_samples",
    ]  # fmt: skip
    cache = {"CALIBENCH_CACHE": str(root / "cache")}
    suite = Suite("eval", root, {"f.txt": b"a file\n"}, words, ["o"], seconds=SECONDS)

    def cases(given: dict[tuple[str, ...], Expected]) -> Iterator[Case]:
        for words, must in given.items():
            usual = list(suite.arguments)
            if words[0] == "--model_args":  # lm-eval would add to the first
                place = usual.index("--model_args")
                del usual[place : place + 2]
            case = suite.case(" ".join(words), must, arguments=(*usual, *words), environment=cache)
            yield suite.write(case)

    yield from cases({("--metadata", value): "refused" for value in _METADATA})
    yield from cases({("--metadata", "key=value="): "any"})  # a key of another task, perhaps
    arguments = {
        "": "refused", "x": "refused", "pretrained=": "refused", "pretrained=missing": "refused",
        "pretrained=/dev/null": "refused", "dtype=float32": "refused", "{": "refused",
        "[]": "refused",
    }  # fmt: skip
    yield from cases({("--model_args", value): "refused" for value in arguments})
    further = {
        "dtype=nope": "refused", "max_length=5": "refused", "max_length=0": "refused",
        "max_length=-1": "refused", "max_length=x": "refused", "max_length=1.5": "refused",
        "fast=maybe": "refused", "nothing=1": "refused", "peft=missing": "refused",
        "confidence_adapter=missing": "refused", "confidence_adapter=.": "refused",
        "confidence_adapter=f.txt": "refused", "probe=missing": "refused", "probe=f.txt": "refused",
        "ensemble=a+b": "refused", "ensemble=": "refused", "mc_dropout=0": "refused",
        "mc_dropout=x": "refused", "mc_dropout=2": "refused", "tokenizer=missing": "refused",
        "revision=nothing": "any", "max_gen_toks=x": "refused", "max_gen_toks=-1": "refused",
        "batch_size=x": "refused", "parallelize=maybe": "any", "temperature=inf": "refused",
        "peft=": "refused", "confidence_adapter=": "refused",
        f"confidence_adapter={adapter},mc_dropout=2,mc_dropout_rate=2": "refused",
        f"confidence_adapter={adapter},mc_dropout=2,mc_dropout_rate=x": "refused",
        f"confidence_adapter={adapter},peft={adapter}": "any",
    }  # fmt: skip
    yield from cases({
        ("--model_args", f"pretrained={model},dtype=float32,{value}"): must  # type: ignore[misc]
        for value, must in further.items()
    })  # fmt: skip
    yield from cases({
        ("--tasks", ""): "refused", ("--tasks", "calib_worldfact"): "refused",
        ("--tasks", ","): "refused", ("--tasks", "/dev/null"): "refused",
        ("--tasks", "f.txt"): "refused", ("--tasks", "./"): "refused",
        ("--device", "nope"): "refused", ("--device", "cuda"): "refused",
        ("--batch_size", "x"): "refused", ("--batch_size", "0"): "refused",
        ("--batch_size", "-1"): "refused", ("--batch_size", "auto:x"): "refused",
        ("--limit", "x"): "refused", ("--limit", "-1"): "refused", ("--limit", "0"): "refused",
        ("--limit", "nan"): "refused", ("--num_fewshot", "-1"): "refused",
        ("--num_fewshot", "x"): "refused", ("--num_fewshot", "100000"): "refused",
        ("--gen_kwargs", "x"): "refused", ("--gen_kwargs", "temperature=inf"): "refused",
        ("--seed", "x"): "refused", ("--seed", "1,2,3,4,5"): "refused",
        ("--model", "nothing"): "refused", ("--model", ""): "refused",
        ("--include_path", "missing"): "refused", ("--include_path", "f.txt"): "refused",
        ("--output_path", "f.txt"): "refused", ("--output_path", "f.txt/x"): "refused",
        ("--output_path", "/proc/x"): "refused", ("--config", "missing"): "refused",
        ("--config", "f.txt"): "refused", ("--samples", "x"): "refused",
        ("--samples", "missing.json"): "refused",
        ("--samples", '{"calib_worldfacts": [-1]}'): "refused",
        ("--samples", '{"calib_worldfacts": [99999]}'): "refused",
        ("--samples", '{"calib_worldfacts": "x"}'): "refused",
        ("--use_cache", "f.txt/x"): "refused",
        ("--unknown", "1"): "refused", ("--apply_chat_template", "nothing"): "any",
        ("--system_instruction", "\udcff"): "any",
    })  # fmt: skip
    stock = [*words[:2], "hf", *words[3:]]
    suite = Suite("eval hf", root, {"f.txt": b"a file\n"}, stock, ["o"], SECONDS)
    yield from cases({
        ("--model_args", f"pretrained={model},dtype=float32,{value}"): further[value]
        for value in further
        if value.partition("=")[0] in _STOCK
    } | {("--model_args", value): "refused" for value in arguments})  # fmt: skip
    weights = "adapter_model.safetensors"
    files = {f"adapter/{name}": content for name, content in inputs.folder(adapter).items()}
    given = f"pretrained={model},dtype=float32,confidence_adapter=adapter"
    words[words.index("--model_args") + 1] = given
    suite = Suite("eval adapter", root, files, words, ["o"], seconds=SECONDS)
    for case in suite.of_bytes(f"adapter/{weights}", "parquet"):
        yield case
    for case in suite.of_bytes("adapter/adapter_config.json", "json"):
        if case.expected != "same":
            yield case
    yield from (each for each in suite.of_places(f"adapter/{weights}") if each.expected != "same")
    stock[stock.index("--model_args") + 1] = f"pretrained={model},dtype=float32,peft=adapter"
    suite = Suite("eval hf adapter", root, files, stock, ["o"], SECONDS)
    for case in suite.of_bytes(f"adapter/{weights}", "parquet"):
        if case.expected == "refused":
            yield case
        else:
            shutil.rmtree(case.folder)
    yield from (each for each in suite.of_places(f"adapter/{weights}") if each.expected != "same")


def judge(root: Path) -> Iterator[Case]:
    """`calibench eval` of a judge's tasks on damaged answers and labels, with a dummy as the judge.

    Then the verdicts of a judge as the grading of another task.
    """
    records = [
        {"task": "t", "split": "test", "id": f"q{i}", "method": "likelihood", "question": f"{i}?",
         "answer": f"a{i}", "correct": 0, "confidence": 0.5, "reason": None,
         "signature": "norm:tokens|grading:exact"}
        for i in range(4)
    ]  # fmt: skip
    rows = [
        {"doc_id": i, "filter": "likelihood", "doc": {"id": f"q{i}"}, "doc_hash": f"{i:064x}",
         "target": f"['{i}', 'the {i}']", "resps": [[f"a{i}"]], "arguments": {},
         "filtered_resps": [json.dumps(each)]}
        for i, each in enumerate(records)
    ]  # fmt: skip
    texts = [
        {"doc_id": i, "filter": "none", "doc": {"question": f"{i}?"}, "doc_hash": f"{i:064x}",
         "target": str(i), "arguments": {"gen_args_0": {"arg_0": "prompt", "arg_1": {}}},
         "resps": [[f"a{i}"]], "filtered_resps": [f"a{i}"]}
        for i in range(4)
    ]  # fmt: skip
    verdicts = [
        {**each, "doc": {"id": f"q{i}", "judged": f"{i:064x}", "answer": f"a{i}"},
         "judged_correct": i % 2}
        for i, each in enumerate(texts)
    ]  # fmt: skip
    files = {
        "samples_t_2026-01-01T00-00-00.jsonl": inputs.lines(rows),
        "g.jsonl": inputs.lines(texts),
        "t.csv": b"id,prompt,answer,reference\nq0,0?,a0,0\nq1,1?,a1,1\n",
        "l.csv": b"id,label\nq0,1\nq1,0\n",
        "v.jsonl": inputs.lines(verdicts),
    }
    words = ["eval", "--model", "dummy", "--limit", "2", "--output_path", "o", "--log_samples"]
    cache = {"CALIBENCH_CACHE": str(root / "cache")}

    def suite_of(name: str, task: str, **metadata: str) -> Suite:
        given = ["--tasks", task, "--metadata", json.dumps(metadata)]
        return Suite(f"judge {name}", root, files, [*words, *given], ["o"], SECONDS, cache)

    log = next(iter(files))
    suite = suite_of("answers", "calib_judge_verdict", answers=log, labels="l.csv")
    yield from suite.valid()
    yield from suite.of_bytes(log, "log", cut_at_the_end_of_a_line="any")
    yield from suite.of_places(log)
    yield from suite.of_rows(log, _judged)
    yield from suite.of_rows(log, _record, inside="record")
    yield from suite.of_bytes("l.csv", "csv")
    yield from suite.of_places("l.csv")
    suite = suite_of("texts", "calib_judge_depth", answers="g.jsonl")
    yield from suite.valid()
    yield from suite.of_rows("g.jsonl", _of_text)
    suite = suite_of("table", "calib_judge_pairwise", answers="t.csv", against="t.csv")
    yield from suite.valid()
    yield from suite.of_bytes("t.csv", "csv", not_UTF_8="refused")
    suite = suite_of("pairs", "calib_judge_pairwise", answers=log, against="missing")
    yield suite.write(suite.case("against nothing", "refused"))
    suite = suite_of("grading", "calib_worldfacts", grading="judge:v.jsonl")
    # None of these verdicts is on an answer of the dummy.
    yield from (each for each in suite.of_bytes("v.jsonl", "jsonl") if each.expected == "refused")
    yield from suite.of_rows("v.jsonl", lambda path, name: "refused")


def _judged(path: tuple, name: str) -> Expected:
    if path in (("filter",), ("filtered_resps",)):
        return "refused"
    if path == ("doc_hash",):
        return "any" if "text" in name or name == "half a character" else "refused"
    return "any"


def _of_text(path: tuple, name: str) -> Expected:
    """As `_judged`; the answer is what was generated, whatever a filter made of it."""
    return "any" if path == ("filtered_resps",) else _judged(path, name)


def _record(path: tuple, name: str) -> Expected:
    if path in (("task",), ("split",), ("question",), ("answer",)):
        return "any" if "text" in name or name == "half a character" else "refused"
    if path == ("correct",):
        return "any" if name in ("null", "true") else "refused"
    if path == ("confidence",):
        return "any" if name in ("null", "half") else "refused"
    return "refused" if path == ("method",) else "any"


def tune(root: Path, model: str, graded: Path) -> Iterator[Case]:
    """`calibench tune` with damaged recipes, data and models.

    It prints how long it took, so that no two outputs are the same.
    """
    for case in _tune(root, model, graded):
        yield replace(case, expected="valid") if case.expected == "same" else case


def _tune(root: Path, model: str, graded: Path) -> Iterator[Case]:
    from calib_adapters import shipped_folder

    recipe = yaml.safe_load(
        (shipped_folder("recipes") / "calibration_tuning_lora_prompt.yaml").read_text()
    )
    recipe["optimiser"] |= {"epochs": 1, "batch_size": 8}
    recipe["dtype"] = "float32"
    files = {f"graded/{name}": content for name, content in inputs.folder(graded).items()}
    files["r.yaml"] = (json.dumps(recipe, indent=1) + "\n").encode()
    words = ["tune", "r.yaml", "--model", model, "--data", "graded", "-o", "o"]
    suite = Suite("tune", root, files, words, ["o"], seconds=SECONDS)
    yield from suite.valid()
    for case in suite.of_bytes("r.yaml", "yaml", cut_at_the_end_of_a_line="refused"):
        yield case
    yield from suite.of_places("r.yaml")
    yield from suite.of_object("r.yaml", _recipe)
    for name in sorted(files):
        if name.endswith((".json", ".arrow")):
            kind = "json" if name.endswith(".json") else "parquet"
            expected: dict[str, Expected] = (
                {} if name.endswith(("grading.json", ".arrow")) else dict.fromkeys(_LOOSE, "any")
            )
            yield from suite.of_bytes(name, kind, **expected)  # type: ignore[arg-type]
    yield from suite.of_outputs("o")
    yield from suite.of_options({
        ("seed=x",): "refused", ("seed",): "refused", ("=1",): "refused", ("nothing=1",): "refused",
        ("lora.r=0",): "refused", ("lora.r=-1",): "refused", ("lora.r=1.5",): "refused",
        ("lora=3",): "refused", ("lora.target_modules=[]",): "refused",
        ("lora.target_modules=[nothing]",): "refused", ("optimiser.epochs=0",): "refused",
        ("optimiser.learning_rate=nan",): "refused", ("optimiser.learning_rate=inf",): "refused",
        ("optimiser.learning_rate=-1",): "refused", ("optimiser.batch_size=0",): "refused",
        ("dtype=float99",): "refused", ("method=nothing",): "refused", ("quantise=nf4",): "refused",
        ("data.max_train=0",): "refused", ("lora.dropout=2",): "refused", ("a.b.c.d=1",): "refused",
        ("lora.r={",): "refused", ("lora.first_layer=99",): "refused", ("seed=-1",): "refused",
        (f"seed={10**30}",): "refused",
        ("--checkpoint_every", "0"): "refused", ("--log", "nothing"): "refused",
        ("--model", "missing"): "refused", ("--model", ""): "refused", ("--model", "."): "refused",
        ("--model", "graded"): "refused", ("--model", "/dev/null"): "refused",
        ("--data", "."): "refused", ("--data", "r.yaml"): "refused",
        ("--data", "/dev/null"): "refused",
        ("--push_to_hub", "a b"): "refused",
    })  # fmt: skip
    for name in ("nothing", "", ".", "graded", "/dev/null", "calibration_tuning_lora_promp"):
        arguments = ["tune", name, *words[2:]]
        yield suite.write(suite.case(f"recipe {name}", "refused", arguments=arguments))
    damaged = root / "model"
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(model, damaged)
        files_of = inputs.folder(damaged)
        if len(files_of[name]) > 10**7:
            continue
        small = {f"m/{each}": content for each, content in files_of.items()}
        words[words.index("--model") + 1] = "m"
        suite = Suite(f"tune model {name}", root, {**files, **small}, words, ["o"], seconds=SECONDS)
        kind = "parquet" if name.endswith("safetensors") else "json"
        for case in suite.of_bytes(f"m/{name}", kind, **dict.fromkeys(_FLIPS, "any")):  # type: ignore
            if case.expected == "refused":
                yield case
            else:
                shutil.rmtree(case.folder)
    shutil.rmtree(damaged, ignore_errors=True)


_FLIPS = tuple(f"flipped_bits,_{seed}" for seed in range(5))
_LOOSE = ("the_value_null", "the_value_{}", "the_value_[]", "the_value_1", 'the_value_"text"',
          "the_value_NaN", "the_value_[1,_2]", "cut_in_the_middle", "empty",
          "a_byte_order_mark")  # fmt: skip


def _recipe(path: tuple, name: str) -> Expected:
    odd = ("a huge integer", "a huge negative integer", "infinity", "NaN", "-1", "half a character",
           "a text", "a text of a megabyte", "an object", "a list", "an empty object")  # fmt: skip
    if path in (("seed",), ("method",), ("dtype",)):
        return "any" if name in ("missing", "true", "null") else "refused"
    if path in (("lora",), ("optimiser",)) and name == "an empty object":
        return "any"  # all of its defaults
    return "refused" if name in odd and path[0] not in ("objective",) and len(path) == 1 else "any"
