"""Perplexity of running text per token, word and byte.

lm-eval's rolling tasks give the last two. Only the back end knows the number of tokens, so it is
returned with the log-likelihood, in a request type of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.metrics import weighted_perplexity
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask

from harness_tasks import text_metrics
from harness_tasks.elicitation.harness import BYPASS, only_predicts, request, shared_by
from harness_tasks.elicitation.late import add_request_type

REQUEST = "token_loglikelihood_rolling"


class PerplexityTask(ConfigurableTask):
    """A `loglikelihood_rolling` task that also counts the scored tokens.

    metadata `counted`: the field whose words and bytes count, where it is not the scored text.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__(config={key: config[key] for key in config if key != "class"})

    def construct_requests(self, doc: dict, ctx: str, **kwargs: Any) -> list[Instance]:
        """One request: the log-likelihood of the whole text and its length in tokens."""
        return [request(REQUEST, (self.doc_to_target(doc),), shared_by(doc, kwargs))]

    def process_results(self, doc: dict, results: Sequence[tuple]) -> dict[str, Any]:
        """lm-eval's values for words and bytes, and (log-likelihood, tokens)."""
        if only_predicts(self):
            return BYPASS
        ((logprob, tokens),) = results
        field = self.config.metadata.get("counted")
        text = doc[field] if field else self.doc_to_target(doc)
        counts = {
            "token_perplexity": tokens,
            "word_perplexity": self.count_words(text),
            "byte_perplexity": self.count_bytes(text),
            "bits_per_byte": self.count_bytes(text),
        }
        return {
            name + suffix: (logprob, count)
            for name, count in counts.items()
            for suffix in ("", "_stderr")
        }


def token_perplexity(items: Sequence[tuple[float, int | None]]) -> float:
    """exp(-sum of log-likelihoods / tokens); NaN where the back end has no tokenizer to count."""
    return math.nan if _uncounted(items) else weighted_perplexity(items)


def token_perplexity_stderr(items: Sequence[tuple[float, int | None]]) -> float:
    """Standard error of `token_perplexity` over texts."""
    return math.nan if _uncounted(items) else text_metrics.perplexity_stderr(items)


def _uncounted(items: Sequence[tuple[float, int | None]]) -> bool:
    return any(tokens is None for _, tokens in items)


def token_loglikelihood_rolling(lm: LM, requests: list[Instance]) -> list[tuple[float, int | None]]:
    """Log-likelihood of each text in nats, with its length in tokens (``None`` if unknown)."""
    encode = getattr(lm, "tok_encode", None)
    texts = [each.args[0] for each in requests]
    counts = [None if encode is None else len(encode(text)) for text in texts]
    return list(zip(lm.loglikelihood_rolling(requests), counts, strict=True))


def read_by_the_class(doc: dict, results: list) -> dict:
    """Marks a task file as scored by `PerplexityTask`; lm-eval then looks up no metric by name."""
    raise TypeError(
        "this task file needs `class: !function harness_tasks.perplexity.PerplexityTask`."
    )


add_request_type(REQUEST, token_loglikelihood_rolling)
