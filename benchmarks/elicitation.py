"""How fast are confidences elicited, beside stock lm-eval, lm-polygraph and a hand-written loop?

    python benchmarks/elicitation.py                                  200 questions, fp32 and bf16
    python benchmarks/elicitation.py --questions 20 --repeats 1 --dtype float32 --only ours stock
    python benchmarks/elicitation.py --scale k --plots FOLDER         cost per question as K grows
    python benchmarks/elicitation.py --costs --adapter ADAPTER        of each method

WorldFacts questions, 3-shot; likelihood, zero-shot classifier, verbalized and K sampled answers:

ours       `calib-hf` and our task, batches by memory
stock      the same task on lm-eval's `hf`, with the best of several batch sizes
floor      plain PyTorch and transformers, by hand, for this one task: the few-shot prefix read
           once, a question's answer and samples from one prefill, second turns from one cache
polygraph  lm-polygraph's likelihood, P(True) and K samples on the same prompts (it verbalizes
           only chats), with its best batch size; --polygraph_python names its interpreter

Each measurement runs in a process of its own, in which the model is loaded before the clock starts;
the forms alternate, and medians count. Where other programs run too, `--threads 1 --clock
processor` counts the processor's seconds, which they disturb little. Memory is the peak of the
process, or of the GPU. With --log FILE every measurement is added to a file, and those that are
there already, with the same settings, are not made again: a long comparison can be stopped, or made
in parts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elicitation_forms import FORMS, METHODS, measure, prompts
from measurements import Measurements, circumstances

DTYPES = ("float32", "bfloat16")
# What another form's seconds must be at least, or at most, as multiples of ours.
FASTER, NEAR, MEMORY = {"stock": 4.0, "polygraph": 5.0}, 1.3, 1.5
SIZED = ("stock", "polygraph")
SCALES = {"questions": (100, 400, 1000, 4000), "k": (1, 5, 10, 25, 50), "shots": (0, 2, 4, 8)}
SCALED = {"questions": "questions", "k": "samples per question", "shots": "examples"}
SETTINGS = (
    "form",
    "dtype",
    "batch_size",
    "questions",
    "k",
    "shots",
    "threads",
    "clock",
    "rows",
    "model",
    "methods",
    "adapter",
)


def measurements(given: argparse.Namespace) -> Measurements:
    """Those of the file, and the way to make others."""

    def timed(options: dict) -> dict:
        found = in_a_process(options)
        return {**found, "seconds": found[given.clock]}

    return Measurements(given, SETTINGS, timed)


def best_size(made: Measurements, given: argparse.Namespace, form: str, dtype: str) -> str:
    """The batch size with which a quarter of the questions take the form least time."""
    if form not in SIZED:
        return "auto"
    few = max(8, given.questions // 4)
    seconds = {
        size: made.get(form=form, dtype=dtype, batch_size=size, questions=few)["seconds"]
        for size in map(str, given.sizes)
    }
    return min(seconds, key=seconds.get)


def command_of(options: dict, prompts: str) -> list[str]:
    """The command that measures one form, with the file of `prompts_file`."""
    python = options["polygraph_python"] if options["form"] == "polygraph" else sys.executable
    command = [python, __file__, "--one", options["form"], "--prompts", prompts]
    names = ("dtype", "questions", "k", "shots", "batch_size", "threads", "rows", "model")
    command += [part for name in names for part in (f"--{name}", str(options[name]))]
    command += ["--methods", *options["methods"]]
    return command + (["--adapter", options["adapter"]] if options["adapter"] else [])


def in_a_process(options: dict) -> dict:
    """`measure` in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(options["threads"])}
    with prompts_file(options) as file:
        done = subprocess.run(
            command_of(options, file), capture_output=True, text=True, env=environment
        )
    if done.returncode:
        raise SystemExit(f"{options['form']}, {options['dtype']}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def prompts_file(options: dict) -> Iterator[str]:
    """Path of a file with the prompts, for the forms that need one."""
    if options["form"] in ("ours", "stock"):
        yield ""
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prompts.json"
        path.write_text(json.dumps(prompts(options["questions"], options["shots"])), "utf-8")
        yield str(path)


def verdict(form: str, ours: dict, other: dict) -> str:
    """Whether ours meets its targets against another form."""
    ratio = other["seconds"] / ours["seconds"]
    if form in FASTER:
        parts = [(ratio >= FASTER[form], f"ours {ratio:.1f} × faster (≥ {FASTER[form]:g})")]
    else:
        parts = [(1 / ratio <= NEAR, f"ours {1 / ratio:.2f} × its time (≤ {NEAR})")]
    if form == "stock":
        share = ours["memory"] / other["memory"]
        parts.append((share <= MEMORY, f"ours {share:.2f} × its memory (≤ {MEMORY})"))
    return "; ".join(("met: " if ok else "missed: ") + text for ok, text in parts)


def compare(given: argparse.Namespace) -> None:
    """All forms side by side: prints the table."""
    made = measurements(given)
    rows = []
    for dtype in given.dtype:
        sizes = {form: best_size(made, given, form, dtype) for form in given.only}
        runs: dict[str, list[dict]] = {form: [] for form in given.only}
        for _ in range(given.repeats):
            for form in given.only:
                runs[form].append(made.get(form=form, dtype=dtype, batch_size=sizes[form]))
        middle = {
            form: {
                key: statistics.median(one[key] for one in found) for key in ("seconds", "memory")
            }
            for form, found in runs.items()
        }
        ours = middle.get("ours")
        for form, one in middle.items():
            seconds = one["seconds"]
            rows.append((
                dtype, form, sizes[form], f"{seconds:.1f}",
                f"{1000 * seconds / given.questions:.0f}",
                f"{seconds / ours['seconds']:.2f}" if ours else "", f"{one['memory'] / 1e6:.0f}",
                verdict(form, ours, one) if ours and form != "ours" else "",
            ))  # fmt: skip
    head = "dtype | form | batch | seconds | ms per question | times ours | peak MB | targets"
    print(f"| {head} |\n|---|---|--:|--:|--:|--:|--:|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print("\n" + circumstances(given, f"{given.questions} questions"))


def scale(given: argparse.Namespace) -> None:
    """Milliseconds per question as one quantity grows: prints a table and draws a plot."""
    made, name, dtype = measurements(given), given.scale, given.dtype[0]
    points: dict[str, list[tuple[int, float]]] = {form: [] for form in given.only}
    print(f"| {name} | form | ms per question | outside the model | peak MB |")
    print("|--:|---|--:|--:|--:|")
    for form, found in points.items():
        size = best_size(made, given, form, dtype)
        for value in given.values or SCALES[name]:
            one = made.get(form=form, dtype=dtype, batch_size=size, **{name: value})
            number = value if name == "questions" else given.questions
            found.append((value, 1000 * one["seconds"] / number))
            outside = one["found"].get("outside_model")
            share = "" if outside is None else f"{outside:.1%}"
            print(
                f"| {value} | {form} | {found[-1][1]:.0f} | {share} | {one['memory'] / 1e6:.0f} |"
            )
    if given.plots:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(5, 3.5), layout="constrained")
        for form, found in points.items():
            axes.plot(*zip(*found, strict=True), marker="o", label=form)
        highest = max(cost for found in points.values() for _, cost in found)
        axes.set(xlabel=SCALED[name], ylabel="ms per question", ylim=(0, 1.1 * highest))
        if len(points) > 1:
            axes.legend()
        given.plots.mkdir(parents=True, exist_ok=True)
        matplotlib.rcParams["svg.hashsalt"] = name  # the same bytes for the same points
        figure.savefig(given.plots / f"elicitation_{name}.svg", metadata={"Date": None})


def costs(given: argparse.Namespace) -> None:
    """What each method costs beside the answer, as a multiple of answering alone: a table."""
    made, dtype = measurements(given), given.dtype[0]
    asked = {"answer alone": ["likelihood"]}
    asked |= {name: ["likelihood", name] for name in given.methods if name != "likelihood"}
    runs: dict[str, list[float]] = {name: [] for name in asked}
    if given.adapter:
        runs["Fine-Tuned"] = []
    for _ in range(given.repeats):
        for name, found in runs.items():
            tuned = name == "Fine-Tuned"
            one = made.get(
                form="ours", dtype=dtype, adapter=given.adapter if tuned else None,
                methods=["likelihood", "zero_shot_classifier"] if tuned else asked[name],
            )  # fmt: skip
            found.append(one["seconds"])
    middle = {name: statistics.median(found) for name, found in runs.items()}
    alone = middle["answer alone"]
    print("| method | ms per question | beside the answer, as a multiple of it |\n|---|--:|--:|")
    for name, seconds in middle.items():
        extra = "" if name == "answer alone" else f"{seconds / alone - 1:.2f}"
        print(f"| {name} | {1000 * seconds / given.questions:.0f} | {extra} |")


def random_1b(folder: Path, tokenizer: str) -> str:
    """The folder of a model like Llama-3.2-1B with random weights: its samples are never equal."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    if not (folder / "config.json").is_file():
        torch.manual_seed(0)
        words = AutoTokenizer.from_pretrained(tokenizer)
        config = LlamaConfig(
            vocab_size=len(words), hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
            num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=8192,
            tie_word_embeddings=True, dtype="bfloat16",
            bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
        )  # fmt: skip
        words.save_pretrained(folder)
        LlamaForCausalLM(config).bfloat16().save_pretrained(folder)
    return str(folder)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = found.add_argument
    add("--model", help="default: the embedded model")
    add(
        "--random_1b", type=Path, metavar="FOLDER",
        help="model of Llama's shape with 1B random weights, made in the folder if it is not there",
    )  # fmt: skip
    add("--questions", type=int, default=200)
    add("--k", type=int, default=10, help="samples per question (default: 10)")
    add("--shots", type=int, default=3)
    add("--dtype", choices=DTYPES, nargs="+", default=list(DTYPES))
    add("--only", choices=FORMS, nargs="+", help="forms to measure")
    add("--repeats", type=int, default=3)
    add("--threads", type=int, default=2)
    add("--clock", choices=("wall", "processor"), default="wall", help="whose seconds count")
    add("--sizes", type=int, nargs="+", default=(8, 32, 64),
        help="batch sizes of which stock and polygraph get their best")  # fmt: skip
    add("--rows", type=int, default=256, help="rows that floor writes at a time")
    add("--polygraph_python", help="interpreter that has lm-polygraph")
    add("--log", type=Path, help="file of measurements, read first and added to")
    add("--scale", choices=SCALES)
    add("--values", type=int, nargs="+", help="of what --scale names")
    add("--costs", action="store_true", help="of each of --methods, measured in ours")
    add("--methods", nargs="+", default=list(METHODS), help="of ours and stock")
    add("--adapter", help="with --costs: adapter that is asked for the confidence")
    add("--plots", type=Path, help="folder for the plot of --scale")
    for hidden in ("--batch_size", "--prompts"):
        add(hidden, default="auto", help=argparse.SUPPRESS)
    add("--one", choices=FORMS, help=argparse.SUPPRESS)
    return found


def main() -> None:
    """Measure and print."""
    given = parser().parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given)))
        return
    if given.model is None:
        from harness_tasks.embedded_models import ensure_model

        given.model = str(ensure_model())
    if given.random_1b:
        given.model = random_1b(given.random_1b, tokenizer=given.model)
    if given.only is None:
        given.only = ["ours"] if given.scale else [
            form for form in FORMS if form != "polygraph" or given.polygraph_python
        ]  # fmt: skip
    if "polygraph" in given.only and not given.polygraph_python:
        raise SystemExit("polygraph: give --polygraph_python, an interpreter with lm-polygraph.")
    (costs if given.costs else scale if given.scale else compare)(given)


if __name__ == "__main__":
    main()
