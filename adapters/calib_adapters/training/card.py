"""The model card of an adapter, with a ``model-index`` that the Hub can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from calib_adapters.training.base_model import published_name
from calib_adapters.training.job import Job
from calib_adapters.training.schema import Recipe
from harness_tasks.embedded_models import cached_as

TEXT = """
# {name}

{description}{rounded}
## Validation

{kept}, on {n} rows of the validation split, with 95 % intervals:

{table}
{chosen}{temperature}

## Training

{rows} rows, {seconds:.0f} s, {speed:.0f} tokens per second, at most {memory:.2f} GB of memory on
{hardware}, base model in {dtype}, seed {seed}, data fingerprint `{fingerprint}`.
Versions: {versions}.
{figure}

```yaml
{recipe}```
"""


# By `evaluation.keep`: which weights these are, and what that means for their scores.
KEPT = {
    "best": "The best of {epochs} epochs by negative log-likelihood",
    "last": "The last of {epochs} epochs",
}
CHOSEN = "\nThese numbers chose the epoch, so they are optimistic; judge it on a test split."
OTHERS = {"probe": "calibench"}  # methods whose weights are no model


def write_card(
    path: Path,
    job: Job,
    recipe: Recipe,
    calibration: dict[str, Any],
    training: dict[str, Any],
    drawn: bool,
) -> None:
    """Write the model card of a finished `job` to `path`; `drawn`: ``loss.png`` is beside it."""
    scores = calibration["validation"]
    name = f"{training['base_model'].split('/')[-1]}-{job.title}"
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="calibench/validation",
            dataset_name="validation split",
            metric_type=metric,
            metric_name=metric.upper(),
            metric_value=found["value"],
        )
        for metric, found in scores.items()
    ]
    data = ModelCardData(
        base_model=published_name(training["base_model"]),
        library_name="peft" if recipe.lora else OTHERS.get(recipe.method, "transformers"),
        tags=["calibench", "calibration", *(["lora"] if recipe.lora else [])],
        model_name=name,
        eval_results=results,
    )
    hardware, temperature = training["hardware"], calibration["temperature"]
    text = TEXT.format(
        name=name,
        description=job.description.format(base=training["base_model"], asked=_asked(training)),
        table=_table(scores),
        temperature=""
        if temperature is None
        else (f"\nTemperature fitted on the same rows: {temperature:.3f}."),
        kept=KEPT[recipe.evaluation.keep].format(epochs=len(calibration["epochs"])),
        chosen=CHOSEN if recipe.evaluation.keep == "best" else "",
        n=training["data"]["validation"],
        rows=training["data"]["train"],
        seconds=training["seconds"],
        speed=training["tokens_per_second"],
        memory=training["peak_memory_bytes"] / 1e9,
        rounded=_rounded(training["base_model"]),
        figure="\n![Loss and perplexity](loss.png)\n" if drawn else "",
        hardware=f"{hardware['device']} ({hardware['name']}, {hardware['threads']} threads)",
        dtype=training["dtype"],
        seed=training["seed"],
        fingerprint=training["data"]["fingerprint"][:12],
        versions=", ".join(f"{k} {v}" for k, v in training["versions"].items()),
        recipe=yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False),
    )
    ModelCard(f"---\n{data.to_yaml()}\n---\n{text}").save(path)


def _rounded(base: str) -> str:
    """A note for readers who load the published model instead of the catalogue's copy."""
    if (model := cached_as(base)) is None:
        return ""
    return (
        f"\nThe base has the weights of [{model.origin}](https://huggingface.co/{model.origin}), "
        f"rounded to {model.quantisation} (`calibench model {model.name}`). The adapter loads on "
        f"the published weights too, but was not measured there.\n"
    )


def _asked(training: dict[str, Any]) -> str:
    """How the graded answers were asked about, by task; nothing for supervised methods."""
    by_task = training["data"].get("asked", {})
    return ", ".join(f"`{task}` by `{how}`" for task, how in by_task.items())


def _table(scores: dict[str, dict[str, Any]]) -> str:
    names = list(scores)
    rows = [[n.upper() for n in names], ["---"] * len(names), [_cell(scores[n]) for n in names]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(found: dict[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})"
