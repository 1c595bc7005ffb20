"""A killed evaluation goes on: nothing is asked twice, and nothing is another run's."""

import json
import os
from contextlib import nullcontext

import lm_eval.evaluator
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.config.evaluate_config import EvaluatorConfig

from calib_adapters.serving.evaluate import evaluate
from calib_adapters.serving.journal import Busy, Journal, remove_stale
from calib_adapters.serving.model import CalibHFLM
from calib_adapters.serving.resume import recorded, resumable
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
from harness_tasks.elicitation.ending import Reply
from harness_tasks.elicitation.logprobs import LOGPROBS_CHECK
from helpers.adapters_common import tiny_model
from helpers.task_runs import TASKS, Hashed, run

CPU = {"device": "cpu", "dtype": "float32"}
METADATA = {"methods": ["likelihood", "zero_shot_classifier", "verbalized", "sampling"], "k": 3,
            "reply_tokens": 8}  # fmt: skip
QUESTIONS, SEED = 4, 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, embedded_model_path):
    """The tiny model, whose answers end."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), embedded_model_path, line_ends=5.0)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache, where the journals are."""
    monkeypatch.setenv("CALIBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "responses"


class Killed(BaseException):
    """What stands for a kill: nothing in lm-eval stops it."""


class Counted(CalibHFLM):
    """Counts the responses that the model gives, and is killed after `most`.

    Both are of the class: what an instance has is part of the model's identity.
    """

    given: list = []
    most = 0
    hook = None

    @property
    def cache_hook(self):
        return Counted.hook

    @cache_hook.setter
    def cache_hook(self, hook):
        Counted.hook = hook
        if "add_partial" in vars(hook):  # a hook of before, put back
            return
        report = hook.add_partial

        def add_partial(kind, *response):
            report(kind, *response)
            Counted.given.append(kind)
            if len(Counted.given) == Counted.most:
                raise Killed

        hook.add_partial = add_partial


@pytest.fixture(scope="module")
def lm(tiny):
    return Counted(tiny, **CPU)


def ask(model, task="calib_worldfacts", *, most=0, batch_size=2, seed=SEED, limit=QUESTIONS):
    """The records of a run as `calibench eval` makes it, and how many responses it asked for."""
    config = EvaluatorConfig(tasks=[task], metadata=METADATA, limit=limit, seed=[0, 0, seed, 0])
    Counted.given, Counted.most = [], most
    if isinstance(model, CalibHFLM):
        model.batch_size_per_gpu = batch_size
        model._fast._memory.forget()  # as in a new process
    with resumable(config) as wrap, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lm_eval.evaluator, "evaluate", wrap(lm_eval.evaluator.evaluate))
        results = run(
            task, include=TASKS / "worldfacts", model=model, metadata=METADATA, limit=limit,
            torch_random_seed=seed,
        )  # fmt: skip
    records = {
        (row["filter"], row["doc_id"]): row["filtered_resps"][0].data
        for row in results["samples"][task]
    }
    return records, len(Counted.given)


def killed(model, most, **options):
    with pytest.raises(Killed):
        ask(model, most=most, **options)


def check_same(found, expected):
    """Answers and samples are identical; confidences are near: other batches round otherwise."""
    assert found.keys() == expected.keys()
    for key, record in expected.items():
        assert found[key]["confidence"] == pytest.approx(record["confidence"], abs=1e-6)
        for name in ("answer", "samples", "reply", "reason"):
            assert found[key].get(name) == record.get(name)


# ---------------------------------------------------------------------------------- whole runs


@pytest.mark.parametrize("task", ["calib_worldfacts", "calib_worldfacts_mc"])
def test_a_killed_run_asks_only_the_rest_and_has_the_same_records(lm, cache, task):
    expected, responses = ask(lm, task)
    assert not list(cache.iterdir())  # it has ended
    for share in (0.3, 0.9):
        most = int(share * responses)
        killed(lm, most, task=task)
        (file,) = cache.glob("*.jsonl")
        kept = sum(len(json.loads(line)[1]) for line in file.read_text().splitlines())
        assert most - 1 - METADATA["k"] < kept < most  # samples of a question are kept together
        found, asked = ask(lm, task, batch_size=3)
        check_same(found, expected)
        assert asked == responses - kept  # with the trial, which is made and not kept
        assert not list(cache.iterdir())


def test_calibench_eval_goes_on(tiny, cache, monkeypatch, caplog, tmp_path):
    """The command itself, whose first run is killed when it has kept five responses."""

    def command():
        evaluate([
            "--model", "calib-hf", "--model_args", f"pretrained={tiny},dtype=float32",
            "--tasks", "calib_worldfacts", "--device", "cpu", "--limit", "3",
            "--metadata", json.dumps({"methods": ["zero_shot_classifier"]}),
            "--output_path", str(tmp_path / "out"),
        ])  # fmt: skip

    def add(journal, key, values):
        whole(journal, key, values)
        if journal.size == 5:
            raise Killed

    monkeypatch.setattr("sys.argv", ["calibench"])
    whole = Journal.add
    monkeypatch.setattr(Journal, "add", add)
    with pytest.raises(Killed):
        command()
    monkeypatch.setattr(Journal, "add", whole)
    command()  # says so to whoever reads what lm-eval says
    assert "goes on: 3 of 3 generate_answer responses are there already" in caplog.text
    assert "goes on: 2 of 6 loglikelihood_after_generate_answer responses are there" in caplog.text
    assert list(tmp_path.rglob("results_*.json")) and not list(cache.iterdir())


def test_a_run_can_be_killed_again_and_says_where_it_goes_on(lm, cache, caplog):
    for most in (3, 7, 9):
        killed(lm, most)
    assert "the same command goes on from there" in caplog.text
    with caplog.at_level("INFO"):
        killed(lm, 2)
    assert f"goes on: 4 of {QUESTIONS} generate_answer responses are there already" in caplog.text
    (file,) = cache.glob("*.jsonl")
    assert str(file) in caplog.text


def test_nothing_is_taken_from_another_model_seed_or_number_of_questions(
    tiny, lm, cache, tmp_path, caplog
):
    torch.manual_seed(0)
    adapted = add_lora(load_base(tiny, "float32", torch.device("cpu")), Lora(r=4), tiny)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    save_adapter(adapted, tiny, tmp_path)
    killed(lm, 9)
    with caplog.at_level("INFO"):
        for model, options in [
            (Counted(tiny, peft=str(tmp_path), **CPU), {}),
            (Counted(tiny, device="cpu", dtype="bfloat16"), {}),
            (lm, {"seed": SEED + 1}),
            (lm, {"limit": QUESTIONS - 1}),
        ]:
            killed(model, 2, **options)  # after the trial, the first response
    assert "goes on" not in caplog.text.replace("command goes on", "")
    assert len(list(cache.glob("*.jsonl"))) == 5


def test_the_second_of_two_runs_at_once_keeps_nothing_and_says_so(lm, cache, caplog):
    killed(lm, 9)
    (file,) = cache.glob("*.jsonl")
    before = file.read_bytes()
    first = Journal(file)
    killed(lm, 5)
    first.close()
    assert file.read_bytes() == before
    assert "another process runs the same command" in caplog.text


def test_a_model_that_does_not_say_what_it_is_keeps_nothing_and_says_so(cache, caplog):
    ask(Hashed())
    assert not cache.exists()
    assert "the model Hashed does not say what it is" in caplog.text


def test_processes_that_share_one_model_keep_nothing(lm, cache, caplog, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    killed(lm, 1)
    assert not cache.exists()
    assert "the model is spread over processes" in caplog.text


def test_a_cache_that_cannot_be_written_does_not_end_the_run(lm, cache, caplog, monkeypatch):
    cache.parent.write_text("a file, where a folder should be")
    killed(lm, 1)
    assert "the cache cannot be written" in caplog.text


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

    trial = [Instance(LOGPROBS_CHECK, {}, ("a", " b", ("none", "a way out")), 0)]
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
    def full(self, key, value):
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
        journal.add(f"key {number}", value)
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
