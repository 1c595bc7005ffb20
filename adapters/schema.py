"""What a recipe may say: one model per method, with the defaults of its paper where it gives them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A mapping in a recipe; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(Section):
    """Shape of the adapter (`peft.LoraConfig`)."""

    r: int = Field(8, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = Field(("q_proj", "v_proj"), min_length=1)


class Optimiser(Section):
    """AdamW, cosine schedule; `batch_size` is that of all processes together."""

    learning_rate: float = Field(1e-4, gt=0)
    batch_size: int = Field(16, ge=1)
    epochs: int = Field(3, ge=1)
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    beta2: float = Field(0.999, gt=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)


class Data(Section):
    """Which part of the training split is used: the first rows of an order drawn by the seed."""

    max_train: int | None = Field(None, ge=2)
    fraction: float = Field(1.0, gt=0, le=1)


class Evaluation(Section):
    """Validation is run after every epoch, and the epoch with the lowest NLL is kept."""

    patience: int | None = Field(None, ge=1, description="epochs without a better one, then stop")


class _Recipe(Section):
    lora: Lora | None = Lora()
    optimiser: Optimiser = Optimiser()
    data: Data = Data()
    evaluation: Evaluation = Evaluation()
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0)


class QueryObjective(Section):
    """Cross-entropy of the yes/no query + kappa · JSD to the base model on the answer."""

    kappa: float = Field(1.0, ge=0)


class LoraPrompt(_Recipe):
    """Calibration tuning, LoRA + Prompt."""

    method: Literal["lora_prompt"]
    objective: QueryObjective = QueryObjective()
    lora: Lora = Lora()


class Head(Section):
    """An MLP with ReLU on the last hidden state; two outputs, wrong and correct."""

    sizes: tuple[int, ...] = (256, 128, 64)


class LoraHead(_Recipe):
    """Calibration tuning, LoRA: a head on the last hidden state, gradients also through LoRA."""

    method: Literal["lora"]
    objective: Head = Head()
    lora: Lora = Lora()


class Probe(_Recipe):
    """Calibration tuning, probe: a head on the last hidden state of the frozen base model."""

    method: Literal["probe"]
    objective: Head = Head()
    lora: None = None


Recipe = Annotated[LoraPrompt | LoraHead | Probe, Field(discriminator="method")]
