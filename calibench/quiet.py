"""Hide messages of libraries that no user can act on, each by its exact origin and text.

Everything else of the same origin is still shown.
"""

from __future__ import annotations

import logging
import re
import warnings

# By logger; a message is hidden if one of these matches all of it.
LOGGED: dict[str, tuple[str, ...]] = {
    # Scores of only some questions have wider intervals, and are marked where they are published.
    "lm_eval.config.evaluate_config": (
        r"--limit SHOULD ONLY BE USED FOR TESTING\. "
        r"REAL METRICS SHOULD NOT BE COMPUTED USING LIMIT\.",
    ),
    # Shown for every task that makes its own rows, even if --metadata is given.
    "lm_eval.api.task": (
        r"\S+: Custom kwargs can be passed to `--metadata` in console .*\n"
        r"For example --metadata=.* For details see task Readme\.",
    ),
    # From one library to the other.
    "transformers.utils.generic": (
        r"`past_key_values`/`cache_params` are deprecated\. Use `cache` instead\.",
    ),
}
# How a warning begins, its category and the module that it is about.
WARNED: tuple[tuple[str, type[Warning], str], ...] = (
    ("`is_gradient_checkpointing` is deprecated", FutureWarning, r"transformers\.modeling_utils"),
    ("`past_key_values` is deprecated", FutureWarning, r"torch\.nn\.modules\.module"),
    # An adapter states its base model by a name, where no vocabulary can be looked up.
    ("Unable to fetch remote file due to the following error", UserWarning, r"peft\.utils\.other"),
    ("Could not find a config file in ", UserWarning, r"peft\.utils\.save_and_load"),
)  # fmt: skip


def hush() -> None:
    """Hide these messages for the rest of the process."""
    for name in LOGGED:
        logging.getLogger(name).addFilter(_is_news)
    for begins, category, module in WARNED:
        warnings.filterwarnings("ignore", re.escape(begins), category, module)


def _is_news(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(re.fullmatch(words, message) for words in LOGGED.get(record.name, ()))
