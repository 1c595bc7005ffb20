"""LoRA + Prompt: the adapter learns to answer "Is the proposed answer correct?"."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from calib_adapters.calibration.encode import encode_rows
from calib_adapters.calibration.lower import put_states, run_lower
from calib_adapters.calibration.objective import (
    Put,
    answer_drift,
    check_head,
    collate,
    log_odds,
    query_loss,
)
from calib_adapters.calibration.reference import kept_reference, with_starts
from calib_adapters.calibration.rows import finish, load_graded_rows, validation_scores
from calib_adapters.data.grade import REPLIES
from calib_adapters.training.base_model import add_lora, load_base, pad_token, save_adapter
from calib_adapters.training.job import Job, Loss, TrainingContext
from calib_adapters.training.tokenizer import load_tokenizer

KEPT = " A Jensen–Shannon\nterm keeps the answers themselves unchanged."
DESCRIPTION = """\
A LoRA adapter that estimates how likely answers of `{base}` are to be correct. It was made by
calibration tuning (Kapoor et al. 2024, arXiv 2406.08391): the base model's own answers were graded,
and the adapter learned to answer "Is the proposed answer correct?" about them.{kept}

## Use

```
lm_eval run --model hf --model_args pretrained=BASE,peft=ADAPTER \\
    --include_path $(calibench tasks) --tasks calib_worldfacts \\
    --metadata '{{"methods": ["zero_shot_classifier"]}}'
```

The `zero_shot_classifier` row is the fine-tuned confidence. The question about an answer has to be
worded as in training (metadata key `wording`): {asked}. `calibration.json` holds a temperature
fitted on the validation split; pass it as the metadata key `temperature` to apply it.
"""


def lora_prompt(context: TrainingContext) -> Job:
    """The job of the method ``lora_prompt``; see `Job` and ``objective.py``."""
    recipe = context.recipe
    graded = load_graded_rows(context, REPLIES)
    tokenizer = load_tokenizer(context.model, context.asked)
    base = load_base(context.model, recipe.dtype, context.device, recipe.quantise, context.asked)
    model = add_lora(base, recipe.lora, context.model)
    pad = pad_token(tokenizer)
    train = with_starts(encode_rows(graded.train, tokenizer))
    validation = encode_rows(graded.validation, tokenizer)
    first = {name: value.to(context.device) for name, value in collate([train[0]], pad).items()}
    check_head(model, first)
    kappa = recipe.objective.kappa
    put: Put | None = None
    if lower := run_lower(
        model, {"train": train, "validation": validation}, ("train",) if kappa else (), pad,
        context.work / "lower_layers.safetensors",
    ):  # fmt: skip
        put, (train, validation) = partial(put_states, table=lower[0]), lower[1].values()
    reference = kept_reference(model, train, pad, put, context) if kappa else None

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Loss:
        odds = log_odds(model, batch)
        nll = value = query_loss(odds, batch["label"])
        if "reference" in batch:
            value = value + kappa * answer_drift(model, batch)
        return Loss(value * len(odds), odds.new_tensor(len(odds)), odds, nll * len(odds))

    columns = ("input_ids", "answer_ids") if kappa else ("input_ids",)
    return Job(
        model=model,
        train=train,
        validation=validation,
        collate=partial(_collate, pad=pad, reference=reference, put=put),
        loss=loss,
        validate=validation_scores,
        finish=finish,
        save=lambda folder: save_adapter(model, context.model, folder),
        title="calibration-tuning",
        description=DESCRIPTION.replace("{kept}", KEPT if kappa else ""),
        data_facts=graded.facts,
        tokens=sum(len(ids) for name in columns for ids in train[name]),
    )


def _collate(
    rows: list[dict[str, Any]], pad: int, reference: Tensor | None, put: Put | None
) -> dict[str, Tensor]:
    batch = collate(rows, pad, reference)
    return put(batch, rows) if put else batch
