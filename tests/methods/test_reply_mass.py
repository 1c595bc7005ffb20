"""How much probability the two replies of a yes/no question have together."""

import logging
import math

import pytest

from harness_tasks.elicitation.reply_mass import masses, warn_of_other_replies
from helpers.task_runs import TASKS, Hashed, records, run


class Sure(Hashed):
    """Gives yes a probability of .3 and no of .1, times `share`."""

    share = 1.0

    def loglikelihood(self, requests):
        of = {" Yes": 0.3, " No": 0.1}
        return [(math.log(of.get(r.args[1], 0.5) * self.share), False) for r in requests]


def test_the_log_has_the_mass_of_both_replies_and_the_rest(hub):
    metadata = {"methods": ["zero_shot_classifier", "p_ik"]}
    results = run("calib_nq_open", include=TASKS, model=Sure(), limit=3, metadata=metadata)
    for method in metadata["methods"]:
        for record in records(results, "calib_nq_open", method):
            assert record["mass"] == pytest.approx(0.4)
            assert record["other_mass"] == pytest.approx(0.6)
            assert record["confidence"] == pytest.approx(0.75)  # whatever the mass


def test_a_mass_above_one_by_rounding_is_one():
    assert masses(1.0000001) == {"mass": 1.0, "other_mass": 0.0}


@pytest.mark.parametrize(("values", "warned"), [([0.2, 0.3, 0.9], True), ([0.2, 0.5, 0.9], False)])
def test_a_warning_where_most_questions_leave_the_replies_less_than_half(values, warned, caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_other_replies("calib_x", [{"p_ik": {"mass": v}, "other": {}} for v in values])
    assert ("p_ik asks yes or no, and in 2 of 3 questions" in caplog.text) == warned
