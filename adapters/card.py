"""The model card of an adapter, with a ``model-index`` that the Hub can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from calib_adapters.recipe import Recipe

TEXT = """
# {name}

A LoRA adapter that tells how likely the answers of `{base}` are to be correct. It was made by
calibration tuning (Kapoor et al. 2024, arXiv 2406.08391): the base model's own answers were graded,
and the adapter learned to answer "Is the proposed answer correct?" about them. A Jensen–Shannon
term keeps the answers themselves what they were.

## Use

```
lm_eval run --model hf --model_args pretrained=BASE,peft=ADAPTER \\
    --include_path $(calibench tasks) --tasks calib_worldfacts \\
    --metadata '{{"methods": ["zero_shot_classifier"]}}'
```

The `zero_shot_classifier` row is the fine-tuned confidence. `calibration.json` holds a temperature
fitted on the validation split ({temperature:.3f}); pass it as the metadata key `temperature` to
apply it.

## Validation

Best of {epochs} epochs by negative log-likelihood, on {n} graded answers of the validation split.

| ECE | AUROC | Brier | NLL |
|---|---|---|---|
| {ece:.3f} | {auroc:.3f} | {brier:.3f} | {nll:.3f} |

These numbers chose the epoch, so they are optimistic; judge the adapter on a test split.

## Training

{rows} graded answers, {seconds:.0f} s, {speed:.0f} tokens per second on {hardware}, seed {seed},
data fingerprint `{fingerprint}`. Versions: {versions}.

```yaml
{recipe}```
"""


def write_card(
    path: Path, recipe: Recipe, calibration: dict[str, Any], training: dict[str, Any]
) -> None:
    """Write the model card of an adapter to `path`."""
    scores = {name: found["value"] for name, found in calibration["validation"].items()}
    name = f"{training['base_model'].split('/')[-1]}-calibration-tuning"
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="calibench/graded",
            dataset_name="graded dataset (validation)",
            metric_type=metric,
            metric_name=metric.upper(),
            metric_value=value,
        )
        for metric, value in scores.items()
    ]
    data = ModelCardData(
        base_model=training["base_model"],
        library_name="peft",
        tags=["calibench", "calibration", "lora"],
        model_name=name,
        eval_results=results,
    )
    hardware = training["hardware"]
    text = TEXT.format(
        name=name,
        base=training["base_model"],
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
        **scores,
    )
    ModelCard(f"---\n{data.to_yaml()}\n---\n{text}").save(path)
