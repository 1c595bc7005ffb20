"""A killed evaluation goes on: nothing is asked twice, and nothing is another run's."""

import json

import lm_eval.evaluator
import pytest
import torch
from lm_eval.config.evaluate_config import EvaluatorConfig

from calib_adapters.serving.evaluate import evaluate
from calib_adapters.serving.journal import Journal
from calib_adapters.serving.model import CalibHFLM
from calib_adapters.serving.resume import resumable
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
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

    def add(journal, entries):
        whole(journal, entries)
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
