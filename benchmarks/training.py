"""How fast is calibration tuning, beside a bare PyTorch loop and beside the form one writes first?

    python benchmarks/training.py --data graded                    fp32 and bf16, 256 rows
    python benchmarks/training.py --data graded --rows 64 --dtype bfloat16 --repeats 1

One epoch of the recipe calibration_tuning_lora_prompt over the same rows of a graded dataset:

ours    the Trainer of `calibench tune`, without validation and checkpoints
bare    a loop in PyTorch with the same batches, the same loss and the same optimiser; its weights
        have to come out the same
naive   batches in random order, logits over the whole vocabulary at every position, and the base
        model run again at every step, all by `model(...)`; the same loss of the same rows

Each measurement runs in a process of its own; the repeats of all forms alternate, and the least
counts. On a CPU seconds are processor time on one thread, which other programs disturb little.
Tokens are those of the rows, padding left out. Memory is the peak of the process, or of the GPU.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

RECIPE = "calibration_tuning_lora_prompt"
FORMS, DTYPES = ("ours", "bare", "naive"), ("float32", "bfloat16")
WITHIN, FASTER = 1.25, 2.0


def clock() -> float:
    """Seconds: of the processor, or with a GPU of the wall, when its work is done."""
    import torch

    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def measure(form: str, dtype: str, model: str, data: Path, rows: int) -> dict:
    """Train one epoch and return seconds, tokens, peak memory and the sums of the weights."""
    import torch
    import transformers

    from calib_adapters.calibration import lora_prompt as method
    from calib_adapters.training.base_model import suit_attention
    from calib_adapters.training.job import TrainingContext
    from calib_adapters.training.provenance import peak_memory
    from calib_adapters.training.recipe import load_recipe

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    changes = ["optimiser.epochs=1", f"data.max_train={rows}", f"dtype={dtype}"]
    recipe = load_recipe(RECIPE, changes)
    with tempfile.TemporaryDirectory() as folder:
        transformers.set_seed(0)
        if form == "naive":
            run, tokens = naive(recipe, model, data, device)
            before = 0.0
        else:
            passes: list[float] = []
            method._reference = timed(method._reference, passes)
            job = method.lora_prompt(TrainingContext(recipe, model, data, Path(folder), device))
            suit_attention(job.model, max(job.train["length"]), device)
            (before,) = passes
            run, tokens = (ours if form == "ours" else bare)(recipe, job, folder), job.tokens
        started = clock()
        trained = run()
        seconds = clock() - started
    sums = [
        float(weight.detach().double().sum())
        for weight in trained.parameters()
        if weight.requires_grad
    ]
    return {
        "form": form,
        "dtype": dtype,
        "seconds": seconds,
        "before": before,
        "tokens": tokens,
        "memory": peak_memory(),
        "weights": sums,
    }


def timed(function: Callable, seconds: list[float]) -> Callable:
    """`function`, which adds the seconds of each call to the list."""

    def call(*arguments):
        started = clock()
        result = function(*arguments)
        seconds.append(clock() - started)
        return result

    return call


def ours(recipe, job, folder: str) -> Callable:
    """The Trainer of `calibench tune`."""
    from calib_adapters.training.trainer import JobTrainer, training_arguments

    arguments = training_arguments(recipe, Path(folder))
    arguments.eval_strategy = arguments.save_strategy = "no"
    arguments.load_best_model_at_end = False
    trainer = JobTrainer(job, recipe, arguments)

    def run():
        trainer.train()
        return job.model

    return run


def bare(recipe, job, folder: str) -> Callable:
    """The same batches, loss and optimiser in a loop."""
    from torch.utils.data import DataLoader

    from calib_adapters.training.batches import EpochBatches

    batches = EpochBatches(job.train["length"], recipe.optimiser.batch_size, recipe.seed)
    loader = DataLoader(job.train, batch_sampler=batches, collate_fn=job.collate)
    step = stepper(recipe, job.model, len(batches))
    device = next(job.model.parameters()).device

    def run():
        job.model.train()
        for batch in loader:
            batch = {name: value.to(device) for name, value in batch.items()}
            found = job.loss(job.model, batch)
            step(found.total / found.count)
        return job.model

    return run


def stepper(recipe, model, steps: int) -> Callable:
    """AdamW with warm-up and a cosine, as the Trainer makes them: takes a loss, makes a step."""
    import torch
    import transformers

    settings = recipe.optimiser
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    adam = torch.optim.AdamW(
        weights,
        settings.learning_rate,
        (0.9, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    schedule = transformers.get_cosine_schedule_with_warmup(adam, settings.warmup_steps, steps)

    def step(loss) -> None:
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm)
        adam.step()
        schedule.step()
        adam.zero_grad()
        if not math.isfinite(loss.item()):
            raise SystemExit("the loss is not a number")

    return step


def naive(recipe, model_name: str, data: Path, device) -> tuple[Callable, int]:
    """The form one writes first, and the number of tokens in its rows."""
    import torch
    import transformers

    from calib_adapters.calibration.encode import encode_rows
    from calib_adapters.data.grade import load_graded
    from calib_adapters.training.base_model import add_lora, load_base, pad_token

    tokenizer = transformers.AutoTokenizer.from_pretrained(model_name)
    graded = load_graded(data)[0]["train"].shuffle(seed=recipe.seed, keep_in_memory=True)
    chosen = graded.select(range(min(len(graded), recipe.data.max_train)), keep_in_memory=True)
    rows = encode_rows(chosen, tokenizer).to_list()
    base = load_base(model_name, recipe.dtype, device)
    model = add_lora(base, recipe.lora, model_name)
    size, pad = recipe.optimiser.batch_size, pad_token(tokenizer)
    step = stepper(recipe, model, -(-len(rows) // size))

    def pad_all(lists):
        ids = [torch.tensor(ids) for ids in lists]
        mask = [torch.ones_like(row) for row in ids]
        padded = torch.nn.utils.rnn.pad_sequence
        return {
            "input_ids": padded(ids, batch_first=True, padding_value=pad).to(device),
            "attention_mask": padded(mask, batch_first=True).to(device),
        }

    def loss_of(batch):
        queries = pad_all([row["input_ids"] for row in batch])
        logits = model(**queries).logits
        cross_entropy = 0.0
        for i, row in enumerate(batch):
            pair = logits[i, len(row["input_ids"]) - 1, [row["no"], row["yes"]]].float()
            cross_entropy = cross_entropy - pair.log_softmax(-1)[int(row["label"])]
        answers = pad_all([row["answer_ids"] for row in batch])
        now = model(**answers).logits.float().log_softmax(-1)
        with torch.no_grad(), model.disable_adapter():
            before = model(**answers).logits.float().log_softmax(-1)
        middle = torch.logaddexp(now, before) - math.log(2)
        divergence = 0.5 * (now.exp() * (now - middle) + before.exp() * (before - middle)).sum(-1)
        written = torch.zeros_like(divergence)
        for i, row in enumerate(batch):
            written[i, row["answer_positions"]] = 1
        drift = (divergence * written).sum()
        return (cross_entropy + recipe.objective.kappa * drift) / len(batch)

    def run():
        model.train()
        order = torch.randperm(len(rows)).tolist()
        for first in range(0, len(rows), size):
            step(loss_of([rows[i] for i in order[first : first + size]]))
        return model

    return run, sum(len(row["input_ids"]) + len(row["answer_ids"]) for row in rows)


def in_a_process(form: str, dtype: str, model: str, data: Path, rows: int) -> dict:
    """`measure` in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--one",
        form,
        "--dtype",
        dtype,
        "--model",
        model,
        "--data",
        str(data),
        "--rows",
        str(rows),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        raise SystemExit(f"{form}, {dtype}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def report(found: dict[str, dict], dtype: str) -> list[str]:
    """Rows of the table for one dtype, with the targets."""
    ours_, bare_, naive_ = (found[form] for form in FORMS)
    speed = {form: one["tokens"] / (one["seconds"] + one["before"]) for form, one in found.items()}
    ratio, times = ours_["seconds"] / bare_["seconds"], speed["ours"] / speed["naive"]
    verdicts = [
        (ratio <= WITHIN, f"{ratio:.2f} × bare (≤ {WITHIN})"),
        (times >= FASTER, f"{times:.2f} × naive's tokens/s (≥ {FASTER:g})"),
        (ours_["memory"] <= naive_["memory"], "memory ≤ naive's"),
    ]
    targets = {"ours": "; ".join(("met: " if ok else "missed: ") + text for ok, text in verdicts)}
    return [
        f"| {dtype} | {form} | {one['seconds']:.1f} | {one['before']:.1f} | {speed[form]:.0f} | "
        f"{one['memory'] / 1e6:.0f} | {targets.get(form, '')} |"
        for form, one in found.items()
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="graded dataset")
    parser.add_argument("--model", help="default: the embedded model")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--dtype", choices=DTYPES, action="append")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=FORMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    from harness_tasks.embedded_models import ensure_model

    model = given.model or str(ensure_model())
    if given.one:
        print(json.dumps(measure(given.one, given.dtype[0], model, given.data, given.rows)))
        return
    print("| dtype | form | seconds of an epoch | before it | tokens/s, both | peak MB | targets |")
    print("|---|---|--:|--:|--:|--:|---|")
    for dtype in given.dtype or DTYPES:
        found: dict[str, dict] = {}
        for _ in range(given.repeats):
            for form in FORMS:
                one = in_a_process(form, dtype, model, given.data, given.rows)
                if form not in found or one["seconds"] < found[form]["seconds"]:
                    found[form] = one
        pairs = zip(found["ours"]["weights"], found["bare"]["weights"], strict=True)
        apart = max(abs(a - b) for a, b in pairs)
        print("\n".join(report(found, dtype)), flush=True)
        if apart > 1e-3:
            raise SystemExit(f"{dtype}: ours and bare end with different weights ({apart:.2g}).")
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("torch", "transformers", "peft"))
    print(
        f"\n{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {versions}, "
        f"{given.rows} rows, least of {given.repeats}."
    )


if __name__ == "__main__":
    main()
