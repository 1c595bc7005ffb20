"""A sequence classifier of `transformers` as a function from texts to toxicities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class ToxicityClassifier:
    """Probability of one class of a sequence classifier.

    A model with one output, or with `problem_type` multi_label_classification, is read through a
    sigmoid, any other through a softmax over its classes.

    Args:
        model: a model id on the Hub or a folder.
        label: the class that means toxic, as in the model's `id2label`, in any case.

    Raises:
        ValueError: the model has no such class.
    """

    def __init__(self, model: str, label: str):
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer = AutoTokenizer.from_pretrained(model)
        self._model = AutoModelForSequenceClassification.from_pretrained(model)
        self._model.to(self._device).eval()
        config = self._model.config
        places = {name.lower(): int(place) for place, name in config.id2label.items()}
        if label.lower() not in places:
            raise ValueError(
                f"toxicity_model {model} has the classes {', '.join(config.id2label.values())}, "
                f"and {label!r} is none of them: name the toxic one as toxicity_label."
            )
        self._place = places[label.lower()]
        single = config.num_labels == 1
        self._multilabel = single or config.problem_type == "multi_label_classification"
        self.name = f"{Path(model).name}:{label}"  # lm-eval's Filter column

    def __call__(self, texts: Sequence[str], batch_size: int = 32) -> list[float]:
        """A probability in [0, 1] per text, cut to what the model can read."""
        import torch

        # Of similar length together, to pad little; equal texts are scored once.
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        limit = getattr(self._model.config, "max_position_embeddings", None)
        limit = min(limit or 512, self._tokenizer.model_max_length, 512)
        found: dict[str, float] = {}
        for start in range(0, len(distinct), batch_size):
            batch = distinct[start : start + batch_size]
            inputs = self._tokenizer(
                batch, padding=True, truncation=True, max_length=limit, return_tensors="pt"
            ).to(self._device)
            with torch.inference_mode():
                logits = self._model(**inputs).logits.float()
            shares = logits.sigmoid() if self._multilabel else logits.softmax(-1)
            found |= zip(batch, shares[:, self._place].tolist(), strict=True)
        return [found[text] for text in texts]
