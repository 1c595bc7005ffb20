"""The model card of an adapter, with a ``model-index`` that the Hub can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from calib_adapters.job import Job
from calib_adapters.schema import Recipe

TEXT = """
# {name}

{description}
## Validation

The best of {epochs} epochs by negative log-likelihood, on {n} rows of the validation split, with
95 % intervals:

{table}

These numbers chose the epoch, so they are optimistic; judge it on a test split. Temperature fitted
on the same rows: {temperature:.3f}.

## Training

{rows} rows, {seconds:.0f} s, {speed:.0f} tokens per second on {hardware}, seed {seed},
data fingerprint `{fingerprint}`. Versions: {versions}.

```yaml
{recipe}```
"""


def write_card(
    path: Path, job: Job, recipe: Recipe, calibration: dict[str, Any], training: dict[str, Any]
) -> None:
    """Write the model card of a finished `job` to `path`."""
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
        base_model=training["base_model"],
        library_name="peft",
        tags=["calibench", "calibration", *(["lora"] if recipe.lora else [])],
        model_name=name,
        eval_results=results,
    )
    hardware = training["hardware"]
    text = TEXT.format(
        name=name,
        description=job.description.format(base=training["base_model"]),
        table=_table(scores),
        temperature=calibration["temperature"],
        epochs=recipe.optimiser.epochs,
        n=training["data"]["validation"],
        rows=training["data"]["train"],
        seconds=training["seconds"],
        speed=training["tokens_per_second"],
        hardware=f"{hardware['device']} ({hardware['name']}, {hardware['threads']} threads)",
        seed=training["seed"],
        fingerprint=training["data"]["fingerprint"][:12],
        versions=", ".join(f"{k} {v}" for k, v in training["versions"].items()),
        recipe=yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False),
    )
    ModelCard(f"---\n{data.to_yaml()}\n---\n{text}").save(path)


def _table(scores: dict[str, dict[str, Any]]) -> str:
    names, bounds = list(scores), ("value", "low", "high")
    cells = ["{:.3f} ({:.3f}–{:.3f})".format(*(scores[n][b] for b in bounds)) for n in names]
    rows = [[n.upper() for n in names], ["---"] * len(names), cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
