"""After a kill, a model that draws from one random stream goes on with the same numbers."""

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from calib_adapters.serving.journal import Journal
from calib_adapters.serving.recorded import recorded

BATCH, K, PROMPTS = 4, 3, "abc"


class Killed(BaseException):
    """What stands for a kill."""


class Drawing(LM):
    """Replies in batches, as `hf` does; a sample is a number that is drawn for its batch."""

    def __init__(self, killed_after=None):
        super().__init__()
        self._device, self.left, self.batches = torch.device("cpu"), killed_after, []

    def generate_until(self, requests):
        replies = []
        for begin in range(0, len(requests), BATCH):
            batch = requests[begin : begin + BATCH]
            self.batches.append(len(batch))
            sampled = batch[0].args[1]["do_sample"]
            numbers = torch.rand(BATCH) if sampled else torch.zeros(BATCH)
            for request, number in zip(batch, numbers.tolist(), strict=False):
                if self.left == 0:
                    raise Killed
                self.left = None if self.left is None else self.left - 1
                replies.append(f"{request.args[0]} {number}")
                self.cache_hook.add_partial("generate_until", request.args, replies[-1])
        return replies

    def loglikelihood(self, requests):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def asked(model, path):
    """Greedy replies and two sets of samples, over the journal of that path."""
    torch.manual_seed(5)
    calls = [
        [
            Instance(kind, {}, (prompt, {"do_sample": sampled}), place)
            for place, prompt in enumerate(PROMPTS)
            for _ in range(K if sampled else 1)
        ]
        for kind, sampled in (("greedy", False), ("samples", True), ("paths", True))
    ]
    journal = Journal(path)
    try:
        with recorded(model, journal):
            return [model.generate_until(call) for call in calls]
    finally:
        journal.close()


@pytest.mark.parametrize("moment", range(len(PROMPTS) * (1 + 2 * K)))
def test_a_kill_at_any_moment_changes_no_sample(moment, tmp_path):
    unbroken = Drawing()
    expected = asked(unbroken, tmp_path / "unbroken.jsonl")
    assert len(set(expected[1] + expected[2])) == 2 * K * len(PROMPTS)
    with pytest.raises(Killed):
        asked(Drawing(moment), tmp_path / "killed.jsonl")
    again = Drawing()
    assert asked(again, tmp_path / "killed.jsonl") == expected
    if moment >= len(PROMPTS) + 2 * BATCH:  # at least a batch of samples is not drawn again
        assert sum(again.batches) < sum(unbroken.batches) - len(PROMPTS)
