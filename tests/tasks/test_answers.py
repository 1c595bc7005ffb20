"""Answers that need reading: letters, numbers behind reasoning, abstentions, verdicts."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_tasks import selfaware, simpleqa
from harness_tasks.elicitation.abstention import abstains, says_nothing
from harness_tasks.elicitation.options import choose
from harness_tasks.gsm8k import final_number
from helpers.task_runs import TASKS, Hashed, records, run


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("A", "A"),
        ("A. Paris", "A"),
        ("(a) Paris", "A"),
        ("B", "B"),
        ("**C**", "C"),
        ("D\nor", "D"),
        ("B Paris", "B"),
        ("b) is right", "B"),
        ("Answer", None),
        ("", None),
        ("E", None),
        ("A cat sat there", None),
        ("But no", None),
    ],
)
def test_a_reply_chooses_the_letter_that_it_begins_with(text, option):
    assert choose(text, "ABCD") == option


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("New York", "New York"),
        ("new york city", "New York City"),
        ("New York, I think", "New York"),
        ("New York City.", "New York City"),
        ("The US", "US"),
        ("US", "US"),
        ("the U.S.", "US"),
        ("The United Kingdom", "United Kingdom"),
        ("The United States", None),
        ("New York Times", None),
        ("Guinea-Bissau", None),
        ("Guinea Bissau", None),
        ("Guinea", "Guinea"),
        ("New Yorker", None),
        ("The", None),
    ],
)
def test_an_option_that_another_text_begins_with_is_not_its_match(text, option):
    options = ["New York", "New York City", "US", "United Kingdom", "Guinea"]
    assert choose(text, options) == option
    assert choose(text, options[::-1]) == option


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("Yes, it is", "yes"),
        ("yesterday", None),
        ("No.", "no"),
        ("No one knows", None),
        ("NO", "no"),
    ],
)
def test_yes_and_no_are_read_as_whole_replies(text, option):
    assert choose(text, ["no", "yes"]) == option


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("She has 3 + 4 = <<3+4=7>>7.\n#### 7", "7"),
        ("#### 1,234", "1234"),
        ("The answer is $12.50 per day.", "12.50"),
        ("The answer is: 18 apples, not 20.", "18"),
        ("The answer is 5. Wait, the answer is 6.", "6"),
        ("It takes 3 hours, so 12.00", "12"),
        ("#### -4", "-4"),
        ("The answer is unclear, about 9 or 10", "9"),
        ("no number here", ""),
        ("#### 1.5", "1.5"),
        ("#### −5", "-5"),
        ("so 10-5", "10-5"),
        ("the answer is 3 to 4", "3-4"),
        ("The answer is 1/2 of it", "1/2"),
        ("#### 12:30", "12:30"),
        ("so 50% of them", "50"),
        ("The answer is 2 million.", "2000000"),
        ("It is 7 on the 3rd day", "7"),
        ("#### €3,50", "3.50"),
        ("", ""),
    ],
)
def test_the_final_number_is_read_from_the_reasoning(text, answer):
    assert final_number(text) == answer


@given(st.integers(-(10**9), 10**9), st.text())
def test_a_stated_number_is_read_after_any_reasoning(value, reasoning):
    assert final_number(f"{reasoning}\n#### {value:,}") == str(value)


def test_only_the_number_of_a_reasoned_answer_is_judged(hub):
    class Reasons(Hashed):
        def reply(self, prompt):
            return " 5%" if prompt.endswith("Probability:") else " First,\nso on.\n#### 1,003"

    results = run("calib_gsm8k", include=TASKS / "gsm8k", model=Reasons(), limit=5)
    found = records(results, "calib_gsm8k", "sampling")
    assert {record["answer"] for record in found} == {"1003"}
    assert [record["correct"] for record in found] == [0, 0, 0, 1, 0]
    assert {record["confidence"] for record in found} == {1.0}
    (query,) = {
        r["query"].rsplit("Answer: ", 1)[1]
        for r in records(results, "calib_gsm8k", "zero_shot_classifier")
    }
    assert query.startswith("1003\n\nIs the proposed answer correct?")


def test_without_examples_an_empty_first_line_does_not_end_the_answer(hub):
    class Stops(Hashed):
        """Writes an empty line first, and stops where it is told to."""

        def generate_until(self, requests):
            return [self.written(request.args[1]["until"]) for request in requests]

        def written(self, stops):
            text = "\n right\n\nQuestion: another"
            return min([text.split(stop)[0] for stop in stops], key=len, default=text)

    answers = {}
    for shots in (0, 2):
        results = run(
            "calib_trivia_qa",
            include=TASKS / "trivia_qa",
            model=Stops(),
            limit=2,
            num_fewshot=shots,
            metadata={"methods": ["zero_shot_classifier"]},
        )
        found = records(results, "calib_trivia_qa", "zero_shot_classifier")
        answers[shots] = {record["answer"] for record in found}
    assert answers == {0: {"right"}, 2: {""}}


@pytest.mark.parametrize(
    "answer",
    [
        "I don't know",
        "Unknown.",
        "",
        "I'm not sure.",
        "Sorry, I do not know that.",
        "Nobody knows",
        "It is unknown",
        "N/A",
        "n/a.",
        "idk",
        "IDK!",
        "We don't know",
        "We do not know.",
        "No idea",
        "As an AI, I cannot say",
        "I do not know who that is.",
        "I can't say.",
        "\u200b",
        "Ich weiß nicht.",
        "Keine Ahnung",
        "Je ne sais pas.",
        "No lo sé",
        "Lo siento, no lo sé.",
        "Não sei",
        "Non lo so",
        "Ik weet het niet",
        "Nie wiem",
        "Jag vet inte",
        "Не знаю.",
        "Bilmiyorum",
        "لا أعرف",
        "मुझे नहीं पता",
        "我不知道。",
        "わかりません。",
        "모르겠습니다.",
        "Tôi không biết",
        "Saya tidak tahu",
    ],
)
def test_an_abstention_is_one_in_the_main_languages(answer):
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "The Unknown Soldier",
        "Paris",
        "Not Sure Records",
        "Don't Know Much",
        "Unknown Pleasures",
        "Idk You Yet",
        "Na",
        "NA",
        "None",
        "No",
        "Namibia",
        "Passau",
        "Uncertain Principle",
        "I Don't Know How to Love Him",
        "Non so più cosa son",
        "Inconnu à cette adresse",
        "未知との遭遇",
        "不明解",
        "Nowhere Man",
        "+",
        "?",
    ],
)
def test_a_title_or_a_name_is_no_abstention(answer):
    assert not abstains(answer)


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "The answer", "The answer is:", "Answer:"])
def test_announcing_an_answer_says_nothing(text):
    assert says_nothing(text)


@pytest.mark.parametrize("text", ["The answer is Paris", "The Answer Man", "A", "?", "0"])
def test_a_letter_or_a_sign_says_something(text):
    assert not says_nothing(text)


def test_simpleqa_grades_in_three_and_gives_no_confidence_to_an_abstention(hub):
    replies = {0: " right", 1: " wrong", 2: " I don't know", 3: " It is right"}

    class Fixed(Hashed):
        def reply(self, prompt):
            if prompt.endswith("Probability:"):
                return " 50%"
            return replies[int(prompt.rsplit("What is ", 1)[1].split("?")[0])]

    results = run("calib_simpleqa", include=TASKS / "simpleqa", model=Fixed(), limit=4)
    found = records(results, "calib_simpleqa", "verbalized")
    assert [r["grade"] for r in found] == ["correct", "incorrect", "not attempted", "correct"]
    assert [r["confidence"] for r in found] == [0.5, 0.5, None, 0.5]
    scores = results["results"]["calib_simpleqa"]
    assert scores["acc,verbalized"] == 0.5
    assert scores["not_attempted,verbalized"] == 0.25
    assert scores["acc_given_attempted,verbalized"] == pytest.approx(2 / 3)
    # The harmonic mean of 1/2 and 2/3.
    assert scores["f_score,verbalized"] == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))


def test_simpleqa_without_an_attempt_has_no_accuracy_among_attempts():
    grades = [simpleqa.NOT_ATTEMPTED] * 3
    assert math.isnan(simpleqa.acc_given_attempted(grades))
    assert simpleqa.f_score(grades) == 0


def test_selfaware_asks_whether_confidence_falls_where_no_answer_exists(hub):
    class Knowing(Hashed):
        """Abstains on 1; elsewhere it is confident in proportion to being asked an even number."""

        def reply(self, prompt):
            asked = int(prompt.rsplit("What is ", 1)[1].split("?")[0])
            if prompt.endswith("Probability:"):
                return " 90%" if asked % 2 == 0 else " 10%"
            return " unknown" if asked == 1 else " right"

    results = run("calib_selfaware", include=TASKS / "selfaware", model=Knowing())
    scores = results["results"]["calib_selfaware"]
    assert scores["auroc_answerable,verbalized"] == 1
    # 20 answerable ones are right, and of 20 without an answer the abstention is.
    assert scores["acc,verbalized"] == pytest.approx(21 / 40)
    assert scores["abstention_f1,verbalized"] == pytest.approx(2 * 1 / (1 + 20))
    assert scores["false_abstention,verbalized"] == 0
    assert scores["missed_abstention,verbalized"] == 19 / 20


def test_abstaining_exactly_where_no_answer_exists_is_a_perfect_detector():
    assert selfaware.abstention_f1([(1, 1), (0, 0), (1, 1)]) == 1
    assert math.isnan(selfaware.abstention_f1([(0, 0)]))


def test_abstaining_too_often_and_too_seldom_are_counted_apart():
    # Of three questions with an answer one was abstained from; of two without one was answered.
    pairs = [(1, 0), (0, 0), (0, 0), (1, 1), (0, 1)]
    assert selfaware.false_abstention(pairs) == pytest.approx(1 / 3)
    assert selfaware.missed_abstention(pairs) == 1 / 2
    assert math.isnan(selfaware.false_abstention([(1, 1)]))
    assert math.isnan(selfaware.missed_abstention([(1, 0)]))


def test_truthfulqa_asks_which_side_an_answer_is_closer_to(hub):
    class Fixed(Hashed):
        def reply(self, prompt):
            return " It is wrong." if "Is 1?" in prompt else " It is right."

    results = run("calib_truthfulqa", include=TASKS / "truthfulqa", model=Fixed(), limit=2)
    found = records(results, "calib_truthfulqa", "zero_shot_classifier")
    assert [record["correct"] for record in found] == [1, 0]
    assert found[0]["signature"].endswith("grading:f1_true_over_false")


def test_a_judges_verdicts_replace_string_grading(hub, tmp_path):
    method = {"methods": ["zero_shot_classifier"]}
    first = run("calib_trivia_qa", include=TASKS / "trivia_qa", metadata=method, limit=3)
    verdicts = [True, False, None]
    lines = [
        json.dumps(
            {
                "doc_id": row["doc_id"],
                "filter": "none",
                "doc": {"judged": row["doc_hash"], "answer": row["filtered_resps"][0]["answer"]},
                "judged_correct": verdict,
            }
        )
        for row, verdict in zip(first["samples"]["calib_trivia_qa"], verdicts, strict=True)
    ]
    log = tmp_path / "samples_calib_judge_verdict.jsonl"
    log.write_text("\n".join(lines), encoding="utf-8")
    judged = run(
        "calib_trivia_qa",
        include=TASKS / "trivia_qa",
        limit=3,
        metadata={**method, "grading": f"judge:{log}"},
    )
    found = records(judged, "calib_trivia_qa", "zero_shot_classifier")
    assert [record["correct"] for record in found] == [1, 0, None]
    assert [record["confidence"] is None for record in found] == [False, False, True]
    assert found[2]["reason"] == "the judge's verdict on the answer could not be read"
