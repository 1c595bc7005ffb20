"""Self-instruct: prompts and replies, what is kept, provenance, and going on after a break."""

import json
import random

import pytest
from click.testing import CliRunner
from datasets import load_from_disk
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from rouge_score.rouge_scorer import RougeScorer

import calib_adapters.self_instruct as package
from calib_adapters.data.prepare import load_prepared
from calib_adapters.self_instruct import Limits, Plan, read_seeds, self_instruct
from calib_adapters.self_instruct.filters import Pool, instance_problem, task_problem
from calib_adapters.self_instruct.prompts import (
    Example,
    instance_prompt,
    read_instance,
    read_tasks,
    tasks_prompt,
)
from calib_adapters.self_instruct.rounds import Rounds
from calib_adapters.self_instruct.teacher import Reply, Sampling
from calib_adapters.tune import tune
from calibench.cli import cli

VERBS = "Describe Explain List Summarise Translate Compare Invent Rewrite".split()
THINGS = "birds rivers poems engines laws spices clocks bridges dances letters".split()
PLACES = "Kenya Norway Peru Japan Chile Egypt Fiji Spain Nepal Cuba".split()


def tell(draw):
    """A task of eight words that is hardly ever near another."""
    words = draw.sample(THINGS, 3) + draw.sample(PLACES, 2)
    return f"{draw.choice(VERBS)} {' '.join(words)} for beginners."


@register_model("test-teacher")
class ScriptedTeacher(LM):
    """Writes random but well-formed tasks; which ones depends on prompt and seed alone."""

    def __init__(self, stop_after=None, **_):
        super().__init__()
        self.left = None if stop_after is None else int(stop_after)

    def generate_until(self, requests):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return [self._reply(request.args[0]) for request in requests]

    def _reply(self, prompt):
        draw = random.Random(f"{prompt}|{random.random()}")  # the global seed is the run's
        if prompt.endswith("Input:"):
            return f" none\nOutput: {tell(draw)}\n###\nTask: and so on"
        tasks = [tell(draw) for _ in range(3)]
        return f" {tasks[0]}\nTask 10: {tasks[1]}\nTask 11: Draw a map of {tasks[2]}"

    def loglikelihood(self, requests):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


@pytest.fixture
def seeds(tmp_path):
    draw = random.Random(0)
    rows = [
        {"id": f"seed{n}", "instruction": tell(draw), "input": "", "output": f"Answer {n}."}
        for n in range(12)
    ]
    path = tmp_path / "seeds.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def plan(rows=30, model_args="", **options):
    return Plan(rows=rows, model="test-teacher", model_args=model_args, prompts=2, **options)


# -------------------------------------------------------------------------------- prompts, replies


def test_the_prompt_for_tasks_numbers_the_examples_and_asks_for_the_next():
    examples = [Example(str(n), f"Do\n thing {n}.", "", "x") for n in range(8)]
    prompt, stops = tasks_prompt(examples)
    assert "\nTask 1: Do thing 0.\n" in prompt
    assert prompt.endswith("\nTask 8: Do thing 7.\nTask 9:")
    assert stops == ["Task 17:"]


@pytest.mark.parametrize(
    ("reply", "tasks"),
    [
        (" Sing a song.\nTask 10: Count to  ten.\n", ["Sing a song.", "Count to ten."]),
        ("Task 9: Sing a song.\nIt goes la.\n\nTask 10: Count.", ["Sing a song.", "Count."]),
        ("**Task 9:** Sing.", ["Sing."]),
        ("\n\n", []),
    ],
)
def test_tasks_are_read_from_a_reply_without_their_numbers(reply, tasks):
    assert read_tasks(reply) == tasks


def test_an_example_reads_back_from_its_own_prompt():
    example = Example("a", "Add the numbers.", "2 and 2", "4")
    prompt, _ = instance_prompt("Next.", [example])
    shown = prompt.split("Task: Add the numbers.\nInput:")[1].split("###")[0]
    assert read_instance(shown) == ("2 and 2", "4")
    assert prompt.endswith("Task: Next.\nInput:")


@pytest.mark.parametrize(
    ("reply", "instance"),
    [
        (" none\nOutput: 4", ("", "4")),
        (" (None)\nOutput: 4", ("", "4")),
        ("Input: nonesuch\nOutput: 4\n5", ("nonesuch", "4\n5")),
        (" 2 and 2", None),
    ],
)
def test_an_instance_is_read_from_a_reply(reply, instance):
    assert read_instance(reply) == instance


# ------------------------------------------------------------------------------------------ filters

words = st.lists(st.sampled_from("a b c d e f".split()), min_size=1, max_size=8).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(words, max_size=6), words, st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_the_nearest_task_is_that_of_rouge_score_over_the_whole_pool(known, new, threshold):
    scorer = RougeScorer(["rougeL"])
    scores = [scorer.score(old, new)["rougeL"].fmeasure for old in known]
    highest = max(scores, default=0)
    found = Pool(known).nearest(new, threshold)
    assert found == (pytest.approx(highest) if highest >= threshold else None)


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ("Explain why the sky is blue.", None),
        ("Go on then.", "task too short"),
        ("Say " + "very " * 150 + "much.", "task too long"),
        ("- Explain why the sky is blue.", "task does not begin with a word"),
        ("Explain why the sky is", "task breaks off"),
        ("Describe what the picture shows us.", "task needs more than text"),
        ("Draw a house with a garden.", "task needs more than text"),
        ("Withdraw the plots of the novel.", None),
        ("Объясни, почему небо синее.", "task has no words that ROUGE-L could compare"),
    ],
)
def test_tasks_are_kept_or_not_for_a_reason(task, problem):
    assert task_problem(task, Limits()) == problem


@pytest.mark.parametrize(
    ("given", "answer", "problem"),
    [
        ("", "Because of scattering.", None),
        ("", "", "answer empty"),
        ("", "word " * 301, "answer too long"),
        ("same", "same", "answer is the input"),
        ("", "Shown before.", "answer is that of an example"),
        ("", "Four.\nTask 3: Add again.", "answer goes on with another task"),
        ("", "It is so. " * 10, "answer repeats itself"),
        ("", "No. " * 10, None),  # too short to say
    ],
)
def test_answers_are_kept_or_not_for_a_reason(given, answer, problem):
    assert instance_problem(given, answer, Limits(), ["Shown before."]) == problem


# --------------------------------------------------------------------------------------------- runs


def test_a_run_gives_a_prepared_data_set_of_new_tasks_with_their_provenance(seeds, tmp_path):
    _, described = self_instruct(seeds, tmp_path / "out", plan(model_args="pretrained=/x/tutor"))
    data, stored = load_prepared(tmp_path / "out")
    assert stored == described
    rows = [*data["train"], *data["validation"]]
    assert len(rows) == 30
    known = {seed.id: seed.instruction for seed in read_seeds(seeds)}
    texts = list(known.values())
    scorer = RougeScorer(["rougeL"])
    for row in sorted(rows, key=lambda row: [int(part) for part in row["id"].split("-")]):
        assert row["messages"][-1] == {"role": "assistant", "content": row["completion"]}
        for text in texts:
            assert scorer.score(text, row["prompt"])["rougeL"].fmeasure < 0.7
        texts.append(row["prompt"])
        known[row["id"]] = row["prompt"]
    for row in rows:
        origin = row["provenance"]
        assert origin["teacher"] == "tutor"
        assert len(origin["task_examples"]) == 8
        assert all(known[id] in origin["task_prompt"] for id in origin["task_examples"])
        assert all(known[id] in origin["answer_prompt"] for id in origin["answer_examples"])
        assert row["prompt"] in origin["answer_prompt"]
    source = described["sources"][0]
    assert source["left_out"]["task needs more than text"] == 2 * source["rounds"]
    logged = [json.loads(line) for line in (tmp_path / "out" / "rounds.jsonl").open()]
    assert sum(len(one["rejected"]) for one in logged) == sum(source["left_out"].values())


def test_an_instruction_adapter_is_trained_on_what_the_teacher_wrote(seeds, tmp_path, tiny):
    self_instruct(seeds, tmp_path / "data", plan())
    output = tune(
        "instruct",
        tiny,
        tmp_path / "data",
        tmp_path / "adapter",
        ("dtype=float32", "optimiser.epochs=1"),
    )
    training = json.loads((output / "training.json").read_text())["data"]
    assert training["train"] + training["validation"] == 30
    (epoch,) = json.loads((output / "calibration.json").read_text())["epochs"]
    assert epoch["eval_perplexity"] > 1
    # Trained in the chat template, and to be asked in it.
    assert "--tasks TASK --apply_chat_template" in (output / "README.md").read_text()


def test_a_run_that_was_broken_off_ends_as_one_that_was_not(seeds, tmp_path, monkeypatch):
    self_instruct(seeds, tmp_path / "whole", plan())
    calls = []
    load = package.load_teacher

    def load_and_stop(*args, **options):
        teacher = load(*args, **options)

        def write(*request):
            calls.append(1)
            if len(calls) == 6:  # in the middle of the third round
                raise KeyboardInterrupt
            return teacher(*request)

        return write

    monkeypatch.setattr(package, "load_teacher", load_and_stop)
    with pytest.raises(KeyboardInterrupt):
        self_instruct(seeds, tmp_path / "broken", plan())
    assert not (tmp_path / "broken").exists()
    (log,) = tmp_path.glob(".broken.*/rounds.jsonl")
    with log.open("a") as lines:
        lines.write('{"tasks": ["half a li')
    self_instruct(seeds, tmp_path / "broken", plan())
    whole, broken = (
        json.loads((tmp_path / n / "prepared.json").read_text()) for n in ("whole", "broken")
    )
    assert broken == whole
    assert not list(tmp_path.glob(".broken.*"))


@pytest.mark.parametrize(("model_args", "device", "sentence"), [
    ("", None, "hf needs 'pretrained'"), ("pretrained=x,dtype=nope", None, "dtype is 'nope'"),
    ("pretrained=x", "nope", "--device is 'nope'"),
])  # fmt: skip
def test_a_teacher_that_cannot_be_loaded_is_a_sentence(model_args, device, sentence):
    with pytest.raises(ValueError, match=sentence):
        package.load_teacher("hf", model_args, Sampling(0, 1, 8), device=device)


def test_the_command_gives_its_options_to_the_teacher_and_says_what_came_of_it(seeds, tmp_path):
    arguments = ["self-instruct", seeds, "--rows", "12", "--prompts", "2", "--seed", "3"]
    arguments += ["--model", "test-teacher", "--model_args", "pretrained=/x/tutor"]
    arguments += ["--novelty", "0.6", "--max_tokens", "50", "-o", str(tmp_path / "out")]
    output = CliRunner().invoke(cli, arguments, catch_exceptions=False).output
    data, described = load_prepared(tmp_path / "out")
    assert f"train: {len(data['train'])} rows" in output
    source = described["sources"][0]
    assert (source["teacher"], source["wanted"], described["seed"]) == ("tutor", 12, 3)
    assert source["sampling"] == {"temperature": 0.7, "top_p": 0.9, "max_tokens": 50}
    assert source["limits"]["novelty"] == 0.6
    assert f"{source['left_out']['task needs more than text']} rows left out" in output


def test_another_seed_writes_other_tasks(seeds, tmp_path):
    for seed in (0, 1):
        self_instruct(seeds, tmp_path / str(seed), plan(seed=seed))
    tasks = [set(load_from_disk(str(tmp_path / n))["train"]["prompt"]) for n in "01"]
    assert not tasks[0] & tasks[1]


def test_own_tasks_are_shown_beside_those_of_people(seeds, tmp_path):
    rounds = Rounds(read_seeds(seeds), Limits(), 0, tmp_path / "log.jsonl")
    shown = []

    def teacher(prompts, stops, seed):
        shown.append(prompts)
        tutor = ScriptedTeacher()
        return [Reply(tutor._reply(prompt).split("###")[0], None) for prompt in prompts]

    rounds.run(teacher, 1)
    first = [row["id"] for row in rounds.rows]
    rounds.run(teacher, 1)
    second = rounds.rows[len(first) :]
    assert first
    assert all(sum(id in first for id in row["task_examples"]) == 2 for row in second)


def test_an_answer_that_fills_the_room_was_broken_off(seeds, tmp_path):
    rounds = Rounds(read_seeds(seeds), Limits(), 0, tmp_path / "log.jsonl")
    tutor = ScriptedTeacher()

    def teacher(prompts, stops, seed):
        return [Reply(tutor._reply(p).split("###")[0], finished=False) for p in prompts]

    assert rounds.run(teacher, 2) == 0
    assert rounds.rejected["answer breaks off"] > 0


def test_a_teacher_that_has_nothing_to_say_ends_with_its_commonest_fault(seeds, tmp_path):
    hard = plan(limits=Limits(min_words=50))
    with pytest.raises(
        ValueError, match="test-teacher wrote no task .* 10 rounds: .*task too short"
    ):
        self_instruct(seeds, tmp_path / "out", hard)
    assert not (tmp_path / "out").exists()


def test_a_back_end_that_lm_eval_does_not_know_is_refused(seeds, tmp_path):
    unknown = Plan(rows=1, model="no-such", model_args="")
    with pytest.raises(ValueError, match="no-such"):
        self_instruct(seeds, tmp_path / "out", unknown)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"instruction": "Sing.", "output": ""}], "row 1: there is no text in the column"),
        ([{"instruction": "Sing.", "output": "La."}] * 3, "has 3 tasks.*at least 8 and 3"),
    ],
)
def test_unusable_seeds_are_refused(rows, message, tmp_path):
    file = tmp_path / "seeds.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ValueError, match=message):
        self_instruct(str(file), tmp_path / "out", plan())
