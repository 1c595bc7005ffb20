"""From rows to questions: options, examples, and bad data, which is named or counted."""

import math

import datasets
import pytest

from harness_tasks import documents, mmlu
from harness_tasks.builders.mmlu import SUBJECTS
from helpers.task_runs import ROWS, TASKS, Hashed, records, run


def test_options_stand_under_letters_however_many_there_are(hub):
    results = run("calib_arc_easy_mc", include=TASKS / "arc", limit=3, num_fewshot=0)
    prompts = [r["context"] for r in records(results, "calib_arc_easy_mc", "zero_shot_classifier")]
    assert prompts[0] == (
        "Question: What is 0?\nA. option A of 0\nB. option B of 0\nC. option C of 0\nAnswer:"
    )
    assert [prompt.count("\n") for prompt in prompts] == [4, 5, 6]


def test_a_cloze_form_asks_options_of_the_same_text_once(hub, monkeypatch):
    plain = ROWS["allenai/sciq"]
    monkeypatch.setitem(ROWS, "allenai/sciq", lambda i: {**plain(i), "distractor3": f"wrong 1 {i}"})
    results = run(
        "calib_sciq_cloze",
        include=TASKS / "sciq",
        num_fewshot=0,
        metadata={"methods": ["likelihood"]},
    )
    for row in results["samples"]["calib_sciq_cloze"]:
        asked = [argument[1] for argument in row["arguments"]]
        i = row["doc_id"]
        assert sorted(asked) == [f" right {i}", f" wrong 1 {i}", f" wrong 2 {i}"]
        assert asked[int(row["target"])] == f" right {i}"


@pytest.mark.parametrize("name", ["sciq", "truthfulqa_mc"])
def test_the_right_option_stands_everywhere_where_the_data_has_it_in_one_place(name):
    path = {"sciq": "allenai/sciq", "truthfulqa_mc": "truthfulqa/truthful_qa"}[name]
    rows = datasets.Dataset.from_list([ROWS[path](i) for i in range(200)])
    docs = getattr(documents, name)(rows)
    right = {"sciq": "right", "truthfulqa_mc": "yes"}[name]
    assert all(doc["choices"][doc["gold"]].startswith(right) for doc in docs)
    places = [doc["gold"] for doc in docs]
    options = len(docs[0]["choices"])
    for place in range(options):  # five standard deviations around a fair share
        share, spread = 1 / options, math.sqrt((1 - 1 / options) / options / 200)
        assert abs(places.count(place) / 200 - share) < 5 * spread


def test_mmlus_examples_are_of_the_questions_own_subject(hub):
    results = run("calib_mmlu_pooled_mc", include=TASKS / "mmlu", num_fewshot=3)
    for record in records(results, "calib_mmlu_pooled_mc", "zero_shot_classifier"):
        parity = int(record["question"].split()[-1].strip("?")) % 2
        asked = [line for line in record["context"].splitlines() if line.startswith("What is")]
        assert {int(line.split()[-1].strip("?")) % 2 for line in asked} == {parity}


def test_pooled_and_subject_mean_are_different_numbers():
    # Subject a: 4 answers, half of them right at 0.5: ECE 0. Subject b: one wrong at 0.8: 0.8.
    items = [(0.5, 1, "a"), (0.5, 0, "a"), (0.5, 1, "a"), (0.5, 0, "a"), (0.8, 0, "b")]
    assert mmlu.ece_subject_mean(items) == pytest.approx((0 + 0.8) / 2)
    assert mmlu.acc_subject_mean(items) == pytest.approx((0.5 + 0) / 2)
    assert mmlu.brier_subject_mean(items) == pytest.approx((0.25 + 0.64) / 2)
    assert mmlu.auroc_subject_mean(items) == 0.5  # b has no right answer
    assert len(SUBJECTS) == 57


# ---------------------------------------------------------------------------------------- bad data


def write_task(folder, form, rows, monkeypatch):
    """A task of one of the two shared templates over `rows`."""
    (folder / "calib_bad.yaml").write_text(
        f"task: calib_bad\ninclude: {TASKS / form}\ndataset_path: made/up\ntest_split: test\n"
        "fewshot_split: null\nnum_fewshot: 0\n",
        encoding="utf-8",
    )
    data = datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
    monkeypatch.setattr(datasets, "load_dataset", lambda path, name=None, **_: data)


FINE = {"id": "fine", "question": "Which?", "choices": ["x", "y"], "gold": 1, "answers": ["y"]}
MC, OPEN = "multiple_choice_template_yaml", "open_ended_template_yaml"


@pytest.mark.parametrize(
    ("form", "change", "sentence"),
    [
        (MC, {"question": " "}, "the question is empty"),
        (OPEN, {"question": None}, "the question is missing"),
        (MC, {"choices": ["only"]}, "there are 1 options and at least 2 are needed"),
        (MC, {"choices": ["x", ""]}, "option 1 is empty"),
        (MC, {"gold": 2}, "the index of the right option is 2, outside 0 to 1"),
        (MC, {"gold": -1}, "the index of the right option is -1, outside 0 to 1"),
        (MC, {"gold": None}, "the index of the right option is missing"),
        (OPEN, {"answers": []}, "there is no accepted answer"),
        (OPEN, {"answers": ["  "]}, "an accepted answer is empty"),
        (OPEN, {"answers": [None]}, "an accepted answer is missing"),
    ],
)
def test_a_bad_row_is_named_before_any_question_is_asked(
    form, change, sentence, tmp_path, monkeypatch
):
    write_task(tmp_path, form, [FINE, {**FINE, "id": "bad-7", **change}], monkeypatch)
    model = Hashed()
    monkeypatch.setattr(model, "loglikelihood", None)
    monkeypatch.setattr(model, "generate_until", None)
    with pytest.raises(ValueError, match=f"row 1 .id 'bad-7'.: {sentence}") as error:
        run("calib_bad", include=tmp_path, model=model)
    assert str(error.value).startswith("calib_bad: 1 of the questions")


def test_a_number_that_is_none_is_named(tmp_path, monkeypatch):
    rows = [{"question": "Which?", "answers": [1.0]}, {"question": "Which?", "answers": [math.nan]}]
    write_task(tmp_path, OPEN, rows, monkeypatch)
    with pytest.raises(ValueError, match="row 0: .* is 1.0, not a text; row 1: .* is missing"):
        run("calib_bad", include=tmp_path)


def test_a_letter_in_place_of_the_index_is_named(tmp_path, monkeypatch):
    write_task(tmp_path, MC, [{**FINE, "gold": "B"}], monkeypatch)
    with pytest.raises(ValueError, match="the right option is 'B', not a whole number"):
        run("calib_bad", include=tmp_path)


def test_questions_outside_the_limit_are_not_checked(tmp_path, monkeypatch):
    write_task(tmp_path, OPEN, [FINE, {**FINE, "answers": []}], monkeypatch)
    assert run("calib_bad", include=tmp_path, limit=1)["results"]["calib_bad"]["sample_len"] == 1


@pytest.mark.parametrize(
    "text", ["מהי בירת צרפת؟ \u202eabc\u202c", "👩‍👩‍👧 = 🏳️‍🌈?", "e\u0301\u00e9"]
)
@pytest.mark.parametrize("form", [MC, OPEN])
def test_other_scripts_and_emoji_come_through_unchanged(form, text, tmp_path, monkeypatch):
    row = {**FINE, "question": text, "choices": [text, "y"], "answers": [text]}
    write_task(tmp_path, form, [row], monkeypatch)

    class Echo(Hashed):
        def reply(self, prompt):
            return f" {text}\n"

    results = run("calib_bad", include=tmp_path, model=Echo())
    (record,) = records(results, "calib_bad", "zero_shot_classifier")
    assert record["question"] == text
    assert text in record["query"]
    if form == OPEN:
        assert record["answer"] == text
        assert record["correct"] == 1


class Windowed(Hashed):
    """Counts words as tokens and holds 60 of them."""

    max_length = 60
    tokenizer = object()

    def tok_encode(self, text, **_):
        return text.split()


def test_a_prompt_longer_than_the_window_is_left_out_and_counted(tmp_path, monkeypatch):
    long = {**FINE, "id": "long", "question": "word " * 100}
    write_task(tmp_path, OPEN, [FINE, long, {**FINE, "id": "fine too"}], monkeypatch)
    results = run("calib_bad", include=tmp_path, model=Windowed())
    scores = results["results"]["calib_bad"]
    assert scores["answered,zero_shot_classifier"] == pytest.approx(2 / 3)
    by_id = {r["id"]: r for r in records(results, "calib_bad", "zero_shot_classifier")}
    assert by_id["long"]["confidence"] is None
    # 100 words, "Question:" and "Answer:", and room for 32 of the answer.
    assert by_id["long"]["reason"] == (
        "the prompt and its reply take 134 tokens, the model's window has 60"
    )
    assert by_id["fine"]["confidence"] is not None
