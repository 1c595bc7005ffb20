"""Does one text entail another? A natural-language-inference cross-encoder decides."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache


@lru_cache(maxsize=1)
def load_nli(model_id: str) -> Callable[[str, str], bool]:
    """Load an NLI cross-encoder; a GPU is used if there is one.

    Args:
        model_id: a Hub id (``microsoft/deberta-large-mnli``) or a folder; a sequence classifier
            that has the label "entailment".

    Returns:
        ``entails(premise, hypothesis)``: whether "entailment" is the likeliest label. Pairs are
        cut to the model's length and remembered.

    Raises:
        ValueError: the model cannot be loaded, or has no such label.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model_id)
        model = AutoModelForSequenceClassification.from_pretrained(model_id)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"nli: the model {model_id!r} cannot be loaded as a sequence classifier ({reason}). "
            f"Give the id or the folder of an NLI cross-encoder."
        ) from error
    labels = {label.casefold(): index for index, label in model.config.id2label.items()}
    if "entailment" not in labels:
        raise ValueError(
            f"nli: the model {model_id!r} has the labels {', '.join(labels)}, and 'entailment' is "
            f"not among them. Give an NLI cross-encoder."
        )
    entailment = labels["entailment"]
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    @lru_cache(maxsize=1 << 16)
    def entails(premise: str, hypothesis: str) -> bool:
        inputs = tokenizer(premise, hypothesis, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**inputs.to(model.device)).logits[0]
        return int(logits.argmax()) == entailment

    return entails
