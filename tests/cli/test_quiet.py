"""Messages of libraries that are left out: these, and nothing else of the same origin."""

import logging
import warnings

import pytest

from calibench.quiet import LOGGED, hush

LIMIT = "--limit SHOULD ONLY BE USED FOR TESTING. REAL METRICS SHOULD NOT BE COMPUTED USING LIMIT."
KWARGS = (
    "calib_worldfacts: Custom kwargs can be passed to `--metadata` in console (as json string) or "
    "to the TaskManager.\nFor example --metadata='{\"max_seq_lengths\":[4096, 8192]}'. For details "
    "see task Readme."
)
CACHE = "`past_key_values`/`cache_params` are deprecated. Use `cache` instead."
SAID = {
    "lm_eval.config.evaluate_config": LIMIT, "lm_eval.api.task": KWARGS,
    "transformers.utils.generic": CACHE,
}  # fmt: skip


class Heard(logging.Handler):
    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


@pytest.fixture
def heard():
    """What the loggers in question pass on once they are hushed."""
    hush()
    handler = Heard()
    for name in SAID:
        logging.getLogger(name).addHandler(handler)
    yield handler.messages
    for name in SAID:
        logging.getLogger(name).removeHandler(handler)


def test_there_is_an_example_of_every_message():
    assert set(SAID) == set(LOGGED)


@pytest.mark.parametrize("name", SAID)
def test_the_message_is_left_out_of_its_logger_only(name, heard):
    logging.getLogger(name).warning(SAID[name])
    assert heard == []
    other = next(each for each in SAID if each != name)
    logging.getLogger(other).warning(SAID[name])
    assert heard == [SAID[name]]


@pytest.mark.parametrize("name", SAID)
def test_another_message_of_that_logger_is_said(name, heard):
    others = [f"{SAID[name]} And the disk is full.", "Validation of the task failed."]
    for each in others:
        logging.getLogger(name).warning(each)
    assert heard == others


WARNING = "`past_key_values` is deprecated and will be removed in version 5.40.0 for `X.forward`."


@pytest.mark.parametrize(("message", "category", "module", "said"), [
    (WARNING, FutureWarning, "torch.nn.modules.module", False),
    (WARNING, UserWarning, "torch.nn.modules.module", True),
    (WARNING, FutureWarning, "calib_adapters.training.trainer", True),
    (f"Beware: {WARNING}", FutureWarning, "torch.nn.modules.module", True),
    ("NaN in the gradients", UserWarning, "torch.nn.modules.module", True),
    ("Could not find a config file in base - will assume that ...", UserWarning,
     "peft.utils.save_and_load", False),
    ("Found missing adapter keys", UserWarning, "peft.utils.save_and_load", True),
])  # fmt: skip
def test_a_warning_is_left_out_by_its_words_its_kind_and_its_module(
    message, category, module, said
):
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter("always")
        hush()
        warnings.warn_explicit(message, category, "a_file.py", 1, module=module)
    assert [str(each.message) for each in caught] == [message] * said
