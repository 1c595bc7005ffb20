"""The schema of recipes: one model per method, with the defaults of its paper where it has any."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A mapping in a recipe; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lora(Section):
    """Shape of the adapter (`peft.LoraConfig`)."""

    r: int = Field(8, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = Field(("q_proj", "v_proj"), min_length=1)
    first_layer: int = Field(0, ge=0, description="layers before this one, from 0, are left alone")


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
    """Validation runs after every epoch; the weights with the lowest NLL, or the last, are kept.

    Keeping the best already reduces overconfidence: comparisons of remedies need ``last``.
    """

    keep: Literal["best", "last"] = "best"
    patience: int | None = Field(None, ge=1, description="epochs without a better one, then stop")

    @model_validator(mode="after")
    def _stops_for_the_best(self) -> Evaluation:
        if self.patience and self.keep == "last":
            raise ValueError(
                "evaluation.patience stops training once it no longer helps, so keep must be best"
            )
        return self


class _Recipe(Section):
    lora: Lora | None = Lora()
    optimiser: Optimiser = Optimiser()
    data: Data = Data()
    evaluation: Evaluation = Evaluation()
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device computes in it natively"
    )
    quantise: Literal["nf4"] | None = Field(None, description="of the frozen base model (QLoRA)")
    seed: int = Field(0, ge=0)

    @property
    def trains_the_base(self) -> bool:
        """Whether all of the base model's own weights are trained."""
        return False

    @model_validator(mode="after")
    def _trainable(self) -> _Recipe:
        if self.quantise and self.lora is None:
            raise ValueError(
                "quantise is nf4, and such weights cannot be trained: it needs a lora section"
            )
        return self


class GradedData(Data):
    """Which graded answers are used."""

    balance: bool = Field(
        False, description="as many correct as wrong answers of each task; the others are left out"
    )


class _Graded(_Recipe):
    data: GradedData = GradedData()


class QueryObjective(Section):
    """Cross-entropy of the yes/no query + kappa · JSD to the base model on the answer."""

    kappa: float = Field(1.0, ge=0)


class LoraPrompt(_Graded):
    """Calibration tuning, LoRA + Prompt."""

    method: Literal["lora_prompt"]
    objective: QueryObjective = QueryObjective()
    lora: Lora = Lora()


class StatedObjective(Section):
    """Loss of a stated number + format · mean of -log P(number) + kappa · JSD on the answer."""

    loss: Literal["brier", "cross_entropy"] = "brier"
    target: Literal["sampling", "likelihood", "graded"] = Field(
        "sampling",
        description="what cross_entropy teaches to say: the accuracy of the answers for which this "
        "method's confidence is about the same; graded: 100 or 0",
    )
    bins: int = Field(10, ge=2, description="of target, with about as many answers in each")
    step: int = Field(10, ge=1, le=50, description="the numbers are 0, step, …, 100")
    format: float = Field(0.1, ge=0, description="of brier, which leaves open what else is said")
    kappa: float = Field(1.0, ge=0)

    @model_validator(mode="after")
    def _ends_at_100(self) -> StatedObjective:
        if 100 % self.step:
            raise ValueError("objective.step must divide 100, so that 100 is among the numbers")
        return self


class Stated(_Graded):
    """Stated confidence: the number that the model says when asked for a percentage."""

    method: Literal["stated"]
    objective: StatedObjective = StatedObjective()
    lora: Lora = Lora()


class Head(Section):
    """An MLP with ReLU on the last hidden state; two outputs, wrong and correct."""

    sizes: tuple[Annotated[int, Field(ge=1)], ...] = (256, 128, 64)


class LoraHead(_Graded):
    """Calibration tuning, LoRA: a head on the last hidden state, gradients also through LoRA."""

    method: Literal["lora"]
    objective: Head = Head()
    lora: Lora = Lora()


class Probe(_Graded):
    """Calibration tuning, probe: a head on the last hidden state of the frozen base model."""

    method: Literal["probe"]
    objective: Head = Head()
    lora: None = None


class PromptData(Data):
    """Which prepared rows are used, in what mixture, and how they are written."""

    tasks: tuple[str, ...] | None = Field(None, min_length=1, description="none means all")
    weights: dict[str, Annotated[float, Field(gt=0)]] | None = Field(None, min_length=1)
    chat_template: Literal["messages", "always", "never"] = "messages"
    end_of_text: Literal["open", "always", "never"] = Field(
        "open", description="learnt after the completions of these rows; open: without options"
    )
    max_tokens: int | None = Field(None, ge=2, description="longer rows are left out")


class Penalty(Section):
    """Loss of a token: NLL + alpha · regulariser (`calib_adapters.supervised.losses`)."""

    regulariser: Literal["none", "ls", "mbls", "ecp"] = "none"
    alpha: float = Field(0.1, ge=0, le=1)
    margin: float = Field(10.0, ge=0, description="of mbls, in units of the logits")
    classes: Literal["options", "vocabulary"] = Field(
        "options", description="what the regulariser is taken over, where a row has options"
    )
    reduce: Literal["mean", "sum"] | None = Field(
        None, description="over the classes; none: mean for ls and mbls, sum for ecp"
    )


class Known(Section):
    """When a row counts as known (its NLL is at most a threshold), and how it is then treated."""

    known: Literal["regularise", "plain", "drop"] = "regularise"
    unknown: Literal["plain", "regularise"] = "plain"
    style_steps: int = Field(20, ge=0, description="steps of plain loss before the first threshold")
    interval: int | None = Field(50, ge=1, description="steps between thresholds; none: only one")
    labels: Literal["current", "base"] = Field(
        "current", description="whose right answers count as known when a threshold is found"
    )
    nll: Literal["mean", "sum"] = Field("mean", description="over the tokens of a completion")


class _Supervised(_Recipe):
    objective: Penalty = Penalty()
    data: PromptData = PromptData()

    @property
    def trains_the_base(self) -> bool:
        """Without an adapter there is nothing else to train."""
        return self.lora is None

    @model_validator(mode="after")
    def _precise(self) -> _Supervised:
        if self.trains_the_base and self.dtype == "bfloat16":
            raise ValueError(
                "lora is null, which trains all weights, and steps are too small for weights in "
                "bfloat16: set dtype=float32 or leave it out (accelerate's mixed_precision makes "
                "it fast)"
            )
        return self


class Sft(_Supervised):
    """Supervised fine-tuning on prompts and completions, with or without a regulariser."""

    method: Literal["sft"]


class CogCalib(_Supervised):
    """CogCalib: the regulariser applies to what the model already knows."""

    method: Literal["cogcalib"]
    knowledge: Known = Known()


Recipe = Annotated[
    LoraPrompt | Stated | LoraHead | Probe | Sft | CogCalib, Field(discriminator="method")
]
