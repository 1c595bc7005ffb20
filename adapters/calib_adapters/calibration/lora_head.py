"""LoRA: the head on the last hidden state, trained together with an adapter below it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from calib_adapters.calibration.head import (
    CorrectnessHead,
    collate_ends,
    encode_answers,
    end_states,
    save_head,
)
from calib_adapters.calibration.objective import query_loss
from calib_adapters.calibration.rows import finish, load_graded_rows, validation_scores
from calib_adapters.training.base_model import (
    add_lora,
    load_base,
    pad_token,
    save_adapter,
    without_adapter,
)
from calib_adapters.training.job import Job, Loss, TrainingContext
from calib_adapters.training.tokenizer import load_tokenizer

MODULE = "correctness_head"
DESCRIPTION = """\
A LoRA adapter and a head that estimate how likely answers of `{base}` are to be correct. They were
made by calibration tuning (Kapoor et al. 2024, arXiv 2406.08391): the base model's own answers were
graded, and a small network on the last hidden state at the answer's end learned to predict the
grade, together with the adapter below it. The adapter is of no use alone, and the answers are the
base model's.

## Use

```
calibench eval --model calib-hf --model_args pretrained=BASE,probe=ADAPTER \\
    --tasks calib_worldfacts --metadata '{{"methods": ["probe"]}}'
```

`calibration.json` holds a temperature fitted on the validation split; pass it as the metadata key
`temperature` to apply it.
"""


def lora_head(context: TrainingContext) -> Job:
    """The job of the method ``lora``; see `Job`."""
    recipe = context.recipe
    graded = load_graded_rows(context)
    tokenizer = load_tokenizer(context.model, context.asked)
    base = load_base(context.model, recipe.dtype, context.device, recipe.quantise, context.asked)
    hidden_size = base.get_output_embeddings().in_features
    # Within the base model and among the modules that PEFT saves, so that the checkpoints hold
    # the head and leave out the base.
    base.add_module(MODULE, CorrectnessHead(hidden_size, recipe.objective.sizes).to(context.device))
    model = add_lora(base, recipe.lora, context.model, modules_to_save=[MODULE])
    train = encode_answers(graded.train, tokenizer)

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Loss:
        odds = getattr(without_adapter(model), MODULE)(end_states(model, batch))
        nll = query_loss(odds, batch["label"]) * len(odds)
        return Loss(nll, odds.new_tensor(len(odds)), odds, nll)

    return Job(
        model=model,
        train=train,
        validation=encode_answers(graded.validation, tokenizer),
        collate=partial(collate_ends, pad=pad_token(tokenizer)),
        loss=loss,
        validate=validation_scores,
        finish=partial(finish, method="probe"),
        save=lambda folder: _save(model, context.model, folder),
        title="calibration-head",
        description=DESCRIPTION,
        data_facts=graded.facts,
        tokens=sum(train["length"]),
    )


def _save(model: nn.Module, base: str, folder: Path) -> None:
    """Write an ordinary adapter, and the head in the same file as a probe's."""
    model.peft_config["default"].modules_to_save = None
    save_adapter(model, base, folder)
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    head = {name: weights.pop(name) for name in list(weights) if MODULE in name}
    save_file(weights, file, metadata={"format": "pt"})
    save_head({name.partition(f"{MODULE}.")[2]: w for name, w in head.items()}, base, folder)
