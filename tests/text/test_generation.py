"""Translation and summaries, each YAML run end to end; and the groups of text tasks."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from lm_eval.api.metrics import bleu as lm_eval_bleu
from rouge_score.rouge_scorer import RougeScorer

from calib_metrics.text.translation import bleu
from harness_tasks.text_metrics import SACREBLEU_SIGNATURES, summary_scores
from helpers.transparent_model import TASKS, Transparent, evaluate, on_rows

PAIRS = [
    {"de": "Ein Hund läuft.", "en": "A dog is running."},
    {"de": "Zwei Männer reden.", "en": "Two men are talking on a street."},
    {"de": "Eine Frau liest ein Buch.", "en": "A woman reads a book."},
]


def test_translation_asks_in_the_right_direction_and_scores_as_sacrebleu(tmp_path):
    shots = [{"de": f"Beispiel {n}", "en": f"Example {n}"} for n in range(3)]
    folder = on_rows(
        tmp_path, "multi30k/calib_multi30k_de_en.yaml", {"test": PAIRS, "validation": shots}
    )
    said = ["A dog is running.", "Two men are talking.", "?"]
    replies = {row["de"]: f" {text}" for row, text in zip(PAIRS, said, strict=True)}
    model = Transparent(lambda p: replies[p.split("German phrase: ")[-1].split("\n")[0]])
    scores, _ = evaluate("mini", model, folder)
    assert model.prompts[0] == (
        "German phrase: Beispiel 0\nEnglish phrase: Example 0\n\n"
        "German phrase: Beispiel 1\nEnglish phrase: Example 1\n\n"
        "German phrase: Beispiel 2\nEnglish phrase: Example 2\n\n"
        "German phrase: Ein Hund läuft.\nEnglish phrase:"
    )
    assert scores["bleu,none"] == bleu(said, [[row["en"]] for row in PAIRS]).score


def test_the_signatures_in_the_metadata_are_those_of_lm_evals_metrics():
    import sacrebleu

    metric = sacrebleu.metrics.BLEU()
    items = [(row["en"], "A dog is running on a street.") for row in PAIRS]
    found = metric.corpus_score([each[1] for each in items], [[each[0] for each in items]])
    assert lm_eval_bleu(items) == found.score
    assert SACREBLEU_SIGNATURES["bleu"] == str(metric.get_signature())


def test_lsum_compares_sentences_and_does_not_mind_their_order():
    found = summary_scores("It rained. The dog slept.", "The dog slept. It rained.")
    assert found["rougeLsum"] == 1 and found["rougeL"] < 1


def test_xsum_scores_are_means_over_summaries(tmp_path):
    rows = [
        {"document": "The dogs were barking all night.", "summary": "Dogs barked.", "id": "1"},
        {"document": "It rained.", "summary": "There was rain.", "id": "2"},
    ]
    folder = on_rows(tmp_path, "xsum/calib_xsum.yaml", {"test": rows})
    scores, _ = evaluate("mini", Transparent(lambda p: "\n\nA dog barks\nMore"), folder)
    scorer = RougeScorer(["rouge1"], use_stemmer=True)
    expected = [scorer.score(row["summary"], "A dog barks")["rouge1"].fmeasure for row in rows]
    assert scores["rouge1,none"] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("name", ["calib_alignment", "calib_generation"])
def test_every_member_of_a_group_is_a_task(name):
    members = yaml.safe_load((TASKS / "alignment" / f"{name}.yaml").read_text())["task"]
    stock = Path(__import__("lm_eval").__file__).parent / "tasks"
    files = [*TASKS.rglob("*.yaml")]
    for folder in ("truthfulqa", "crows_pairs", "winogender", "bbq"):
        files += (stock / folder).glob("*.yaml")
    names = {
        line.removeprefix("task: ").strip()
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("task: ")
    }
    assert set(members) <= names
