"""What a model has said is found again: requests over a journal, its file, several processes."""

import os
from contextlib import nullcontext

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.config.evaluate_config import EvaluatorConfig

from calib_adapters.serving.journal import Busy, Journal, remove_stale
from calib_adapters.serving.recorded import recorded
from calib_adapters.serving.resume import resumable
from harness_tasks.elicitation.ending import Reply
from harness_tasks.elicitation.logprobs import LOGPROBS_CHECK, Need


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache, where the journals are."""
    monkeypatch.setenv("CALIBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "responses"


# ------------------------------------------------------------------------ one call of a model


class Named(LM):
    """Replies with `replies` in turn, and reports nothing, or what `report` makes of a request."""

    def __init__(self, replies, report=None):
        super().__init__()
        self.replies, self.report, self.asked = iter(replies), report, []

    def generate_until(self, requests):
        self.asked += [request.args for request in requests]
        replies = [next(self.replies) for _ in requests]
        for request, reply in zip(requests, replies, strict=True):
            if self.report:
                self.cache_hook.add_partial("generate_until", self.report(request.args), reply)
        return replies

    def loglikelihood(self, requests):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def texts(*asked):
    return [
        Instance("generate_until", {}, (prompt, {"until": ["\n"], **settings}), i)
        for i, (prompt, settings) in enumerate(asked)
    ]


def put(model, path, *calls):
    """The responses to `calls` of a model over the journal of that path."""
    journal = Journal(path)
    try:
        with recorded(model, journal):
            return [model.generate_until(requests) for requests in calls]
    finally:
        journal.close()


HOT = {"do_sample": True}


def test_what_a_back_end_does_not_report_is_kept_when_its_call_returns(tmp_path):
    calls = texts(("a", {}), ("b", {})), texts(("c", {}))
    put(Named("123"), tmp_path / "j.jsonl", *calls)
    again = Named("4")
    assert put(again, tmp_path / "j.jsonl", *calls) == [["1", "2"], ["3"]]
    assert again.asked == []


def test_a_request_put_a_second_time_is_another_request(tmp_path):
    call = texts(("a", HOT))
    assert put(Named("12"), tmp_path / "j.jsonl", call, call) == [["1"], ["2"]]
    assert put(Named("34"), tmp_path / "j.jsonl", call, call, call) == [["1"], ["2"], ["3"]]


def test_samples_of_a_question_are_kept_together_or_not_at_all(tmp_path):
    call = texts(*[("a", HOT)] * 3, *[("b", HOT)] * 3)
    with pytest.raises(StopIteration):  # there is no fifth reply
        put(Reporting("1234"), tmp_path / "j.jsonl", call)
    again = Reporting("567")
    assert put(again, tmp_path / "j.jsonl", call) == [["1", "2", "3", "5", "6", "7"]]


class Reporting(Named):
    """Reports each reply before it makes the next one."""

    def generate_until(self, requests):
        return [reply for r in requests for reply in Named.generate_until(self, [r])]

    def __init__(self, replies):
        super().__init__(replies, report=lambda arguments: arguments)


def test_a_report_with_other_settings_belongs_to_the_prompt_if_it_was_asked_once(tmp_path):
    """So vLLM reports: with the settings that it made of those it was given."""
    requests = texts(("a", {}), ("b", {}), ("b", {"max_gen_toks": 3}))
    model = Named("123", report=lambda arguments: (arguments[0], {"max_tokens": 256}))
    assert put(model, tmp_path / "j.jsonl", requests) == [["1", "2", "3"]]
    assert put(Named(""), tmp_path / "j.jsonl", requests) == [["1", "2", "3"]]


def test_how_a_reply_ended_survives(tmp_path):
    reply = Reply("from 9", False, 16, True)
    put(Named([reply]), tmp_path / "j.jsonl", texts(("a", {})))
    ((found,),) = put(Named(""), tmp_path / "j.jsonl", texts(("a", {})))
    assert isinstance(found, Reply) and found == "from 9"
    assert (found.ended, found.limit, found.thinking) == (False, 16, True)


@pytest.mark.parametrize("text", ["", "\n", "é🙂", "\ud83d", "\x00\u2028"])
def test_every_text_survives(tmp_path, text):
    put(Named([text]), tmp_path / "j.jsonl", texts(("a", {})))
    assert put(Named(""), tmp_path / "j.jsonl", texts(("a", {}))) == [[text]]


def test_a_process_among_several_asks_one_request_even_if_all_are_there(tmp_path):
    call = texts(("a", {}), ("b", {}))
    put(Named("12"), tmp_path / "j.jsonl", call)
    model = Named("3")
    model._world_size = 2
    assert put(model, tmp_path / "j.jsonl", call) == [["1", "2"]]
    assert len(model.asked) == 1


def test_a_server_without_log_probabilities_is_tried_again_when_it_has_them(tmp_path):
    class Server(Named):
        def loglikelihood(self, requests):
            return [(next(self.replies), False)] * len(requests)

    need = Need("task", True, "a way out", "a way out")
    trial = [Instance(LOGPROBS_CHECK, {}, ("a", " b", need), 0)]
    for reply, outcome in ((0.0, pytest.raises(NotImplementedError)), (-1.5, nullcontext())):
        journal, model = Journal(tmp_path / "j.jsonl"), Server([reply])
        with outcome, recorded(model, journal):
            assert model.logprobs_check(trial) == [True]
        journal.close()


def test_arguments_that_json_cannot_express_are_asked_again(tmp_path):
    call = [Instance("generate_until", {}, ("a", {}, object()), 0)]
    put(Named("1"), tmp_path / "j.jsonl", call)
    assert put(Named("2"), tmp_path / "j.jsonl", call) == [["2"]]


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch, caplog):
    def full(self, entries):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "add", full)
    assert put(Named("12"), tmp_path / "j.jsonl", texts(("a", {}), ("b", {}))) == [["1", "2"]]
    assert caplog.text.count("No space left on device") == 1


# -------------------------------------------------------------------------- back ends and processes


class Served(Named):
    """A model whose weights are out of sight; only its name says what it is."""

    def __init__(self, replies, name, rank=0, processes=1):
        super().__init__(replies)
        self.pretrained, self._rank, self._world_size = name, rank, processes


def served(model, *requests, **options):
    """A run of one call; a model that cannot reply is killed."""
    arguments = {"pretrained": model.pretrained}
    config = EvaluatorConfig(model="served", model_args=arguments, **options)
    replies, model.replies = model.replies, None  # no part of what it is
    with resumable(config) as wrap:

        def asking(lm):
            lm.replies = replies
            return lm.generate_until(list(requests))

        return wrap(asking)(lm=model)


def half(name, requests, **processes):
    """A killed run, which has the responses to all requests but the last."""
    with pytest.raises(StopIteration):
        served(ReportingServed("1234"[: len(requests) - 1], name, **processes), *requests)


class ReportingServed(Served):
    generate_until = Reporting.generate_until

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.report = lambda arguments: arguments


def test_files_of_a_model_out_of_sight_that_have_changed_are_another_model(cache, tmp_path):
    requests = texts(("a", {}), ("b", {}))
    weights = tmp_path / "model" / "weights"
    weights.parent.mkdir()
    weights.write_text("one")
    half(str(weights.parent), requests)
    again = ReportingServed("5", str(weights.parent))
    assert served(again, *requests) == ["1", "5"]
    half(str(weights.parent), requests)
    weights.write_text("another")
    assert served(ReportingServed("67", str(weights.parent)), *requests) == ["6", "7"]


def test_with_lm_evals_own_cache_nothing_is_kept(cache, tmp_path):
    served(Served("1", "m"), *texts(("a", {})), use_cache=str(tmp_path / "db"))
    assert not cache.exists()


def test_each_process_has_a_journal_and_the_first_removes_all_at_the_end(cache):
    requests = texts(("a", {}), ("b", {}))
    for rank in (0, 1):
        half("m", requests, rank=rank, processes=2)
    assert len(list(cache.glob("*.jsonl"))) == 2
    assert served(ReportingServed("5", "m", 1, 2), *requests) == ["1", "5"]
    assert len(list(cache.glob("*.jsonl"))) == 2  # the results have not been saved
    assert served(ReportingServed("6", "m", 0, 2), *requests) == ["1", "6"]
    assert not list(cache.iterdir())


def test_processes_with_parts_of_the_weights_keep_nothing(cache, caplog):
    class Part:
        def to_local(self):
            raise NotImplementedError

    model = Served("12", "m", 0, 2)
    model._model = type("Sharded", (), {"parameters": lambda self: [Part()]})()
    served(model, *texts(("a", {})))
    assert not cache.exists()
    assert "the model is spread over processes" in caplog.text


# ------------------------------------------------------------------------------------ the file


def written(path, *values):
    journal = Journal(path)
    for number, value in enumerate(values):
        journal.add({f"key {number}": value})
    journal.close()


def entries(path):
    journal = Journal(path)
    journal.close()
    return journal.entries


def test_a_line_that_was_cut_is_dropped_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "j.jsonl"
    written(path, [1.5], ["two"])
    whole = path.read_bytes()
    for end in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:end])
        assert entries(path) == {"key 0": [1.5]}
        written(path, [3])
        assert entries(path) == {"key 0": [3]}


@pytest.mark.parametrize("line", [b"\0" * 40, b"\xff\r\r", b"{}", b"[1, 2]", b'["a"]', b"[["])
def test_a_damaged_line_is_passed_over(tmp_path, line):
    path = tmp_path / "j.jsonl"
    written(path, [1], [2])
    one, two = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([one, line, two, b""]))
    assert entries(path) == {"key 0": [1], "key 1": [2]}


def test_a_journal_is_open_once_and_its_owners_alone(tmp_path):
    journal = Journal(tmp_path / "folder" / "j.jsonl")
    with pytest.raises(Busy):
        Journal(tmp_path / "folder" / "j.jsonl")
    if os.name == "posix":
        assert journal.path.stat().st_mode & 0o077 == 0
        assert journal.path.parent.stat().st_mode & 0o077 == 0
    journal.remove()
    assert not list((tmp_path / "folder").iterdir())


def test_journals_to_which_nobody_came_back_are_removed_unless_in_use(tmp_path):
    for name in ("old", "new", "used"):
        written(tmp_path / f"{name}.jsonl", [1])
    used = Journal(tmp_path / "used.jsonl")
    for name in ("old", "used"):
        os.utime(tmp_path / f"{name}.jsonl", (0, 0))
    remove_stale(tmp_path)
    used.close()
    assert {path.name for path in tmp_path.glob("*.jsonl")} == {"new.jsonl", "used.jsonl"}
    assert not (tmp_path / "old.jsonl.lock").exists()
