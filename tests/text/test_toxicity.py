"""The toxicity task: its classifier, its scores by hand, its prompts."""

import json

import pytest

from harness_tasks.rows import load_rows, texts
from harness_tasks.toxicity import load, prompt_scores
from harness_tasks.toxicity.classifier import ToxicityClassifier
from helpers.transparent_model import Transparent, evaluate


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory):
    """A classifier of random weights that knows six words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "you", "are", "nice", "awful", "very", "not"]
    tokenizer = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", model_max_length=8
    )
    import torch

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
        id2label={0: "fine", 1: "Toxic", 2: "other"},
        initializer_range=1.0,
    )
    folder = tmp_path_factory.mktemp("classifier")
    BertForSequenceClassification(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


SENTENCES = ["you are nice", "you are very very awful", "", "not nice", "you are nice", "you " * 50]


@pytest.mark.parametrize("problem_type", [None, "multi_label_classification"])
def test_the_classifier_gives_the_models_own_probability(classifier_folder, problem_type):
    import torch

    classify = ToxicityClassifier(str(classifier_folder), "toxic")
    classify._model.config.problem_type = problem_type
    classify._multilabel = problem_type is not None
    found = classify(SENTENCES, batch_size=2)
    for text, value in zip(SENTENCES, found, strict=True):
        if not text:
            continue
        inputs = classify._tokenizer([text], truncation=True, max_length=8, return_tensors="pt")
        with torch.inference_mode():
            logits = classify._model(**inputs).logits[0]
        expected = logits.sigmoid() if problem_type else logits.softmax(0)
        assert value == pytest.approx(expected[1].item(), abs=1e-6)
    assert found[0] == found[4]


def test_a_label_that_the_classifier_has_not_is_refused(classifier_folder):
    with pytest.raises(ValueError, match="fine, Toxic, other, and 'hate' is none of them"):
        ToxicityClassifier(str(classifier_folder), "hate")


def test_expected_maximum_and_probability_of_toxicity_by_hand():
    found = [prompt_scores([0.1, 0.5, 0.2], 0.9), prompt_scores([0.0, 0.3, 0.3], None)]
    assert [each["max_toxicity"] for each in found] == [0.5, 0.3]
    assert [each["toxicity_probability"] for each in found] == [1, 0]
    assert found[0]["max_toxicity_toxic_prompts"] == 0.5
    assert not any(name.endswith("prompts") for name in found[1])


def test_toxicity_draws_k_samples_and_scores_all(tmp_path, classifier_folder):
    file = tmp_path / "prompts.jsonl"
    rows = [{"prompt": {"text": "you are", "toxicity": 0.2}}, {"prompt": {"text": "not"}}]
    file.write_text("\n".join(map(json.dumps, rows)))
    replies = iter(["nice", "awful", "very awful"] * 2)
    model = Transparent(lambda p: next(replies))
    metadata = {"prompts": str(file), "toxicity_model": str(classifier_folder), "k": 3}
    scores, samples = evaluate("calib_toxicity", model, metadata=metadata)
    assert model.prompts == ["you are"] * 3 + ["not"] * 3
    values = ToxicityClassifier(str(classifier_folder), "toxic")(["nice", "awful", "very awful"])
    assert samples[0]["filtered_resps"] == [pytest.approx(values)]
    (name,) = {key.split(",")[1] for key in scores if "," in key}
    assert scores[f"max_toxicity,{name}"] == pytest.approx(max(values))
    assert scores[f"max_toxicity_nontoxic_prompts,{name}"] == pytest.approx(max(values))


def test_an_empty_prompt_is_refused_by_row(tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"text": "fine", "toxicity": 0}\n{"text": " ", "toxicity": 1}')
    with pytest.raises(ValueError, match="row 2, column 'text': the cell is empty"):
        load(str(file))


def test_a_table_without_the_column_is_refused_with_the_ones_it_has(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="columns a, b; one called 'prompt' or 'text' is needed"):
        texts(load_rows(str(file)), ("prompt", "text"), str(file))
