"""Rows of supervised fine-tuning: what is tokenised, what is read, and which are refused."""

import numpy as np
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoTokenizer, LlamaForCausalLM

from calib_adapters.supervised.batch import SUMMARY, collate, read_logits, summarise
from calib_adapters.supervised.encode import encode_rows
from calib_adapters.supervised.losses import token_nll
from calib_adapters.training.schema import PromptData
from helpers.adapters_common import prepared_row

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return AutoTokenizer.from_pretrained(tiny)


def row(prompt, completion, options=None, **more):
    base = {"id": "1", "task": "toy", "split": "train", "messages": None, "answers": None}
    return {**base, "prompt": prompt, "completion": completion, "options": options, **more}


def encode(rows, tokenizer, candidates=False, **settings):
    import datasets

    data = datasets.Dataset.from_list(rows)
    return encode_rows(data, tokenizer, PromptData(**settings), candidates=candidates).to_list()


MIXED = [
    row("Question: which is a metal?\nAnswer:", " tin", [" tin", " a red rose", " an oak"]),
    row("Question: which is a metal?\nAnswer:", " B", [" A", " B"]),
    row("Question: which one grows?\nAnswer:", " a red rose", [" tin", " a red rose"]),
    row("Who wrote it?\nAnswer: ", "Ann Lee", None, answers=["Ann Lee", "A. Lee"]),
    row("Say a number.", " 12"),
]


def table_of(model, encoded, width=3):
    batch = collate(encoded, pad=2, width=width)
    with torch.no_grad():
        logits = read_logits(model, batch)
        nll = token_nll(logits[: len(batch["targets"])], batch["targets"])
        return summarise(logits, nll, batch).numpy()


def test_completions_and_options_have_the_likelihoods_that_lm_eval_finds(tiny, tokenizer):
    model = LlamaForCausalLM.from_pretrained(tiny).eval()
    table = table_of(model, encode(MIXED, tokenizer, candidates=True))
    lm = HFLM(pretrained=tiny, device="cpu", dtype="float32", batch_size=1)

    def likelihood(prompt, text):
        request = Instance("loglikelihood", {}, (prompt, text), 0)
        return lm.loglikelihood([request], disable_tqdm=True)[0]

    for found, example in zip(table, MIXED, strict=True):
        value, greedy = likelihood(example["prompt"], example["completion"])
        assert found[0] == pytest.approx(-value, abs=1e-3)
        texts = example["options"] or [a for a in example["answers"] or [] if a != "Ann Lee"]
        for k, text in enumerate(texts):
            assert found[SUMMARY + k] == pytest.approx(
                likelihood(example["prompt"], text)[0], abs=1e-3
            )
        assert np.isneginf(found[SUMMARY + len(texts) :]).all()


def test_a_row_counts_as_written_when_greedy_decoding_writes_an_accepted_answer(tiny, tokenizer):
    model = LlamaForCausalLM.from_pretrained(tiny).eval()
    prompt = "Who wrote it?\nAnswer:"
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    written = model.generate(
        ids, max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=2
    )[0]
    text = tokenizer.decode(written)[len(prompt) :]
    assert tokenizer(prompt + text)["input_ids"] == written.tolist()  # else nothing is tested
    assert text == text.rstrip()
    lead = text[: len(text) - len(text.lstrip())]
    rows = [
        row(prompt, text),
        row(prompt, lead + "Zoe"),
        row(prompt, lead + "Zoe", answers=["Zoe", text.strip()]),
    ]
    greedy = table_of(model, encode(rows, tokenizer, candidates=True))[:, SUMMARY - 1]
    assert greedy.tolist() == [1.0, 0.0, 1.0]


def test_options_of_one_token_cost_no_further_sequences(tokenizer):
    rows = [prepared_row(i, "train") for i in range(4)]
    batch = collate(encode(rows, tokenizer, candidates=True), pad=2, width=3)
    assert len(batch["text_ids"]) == 4
    assert batch["at"].shape[1] == 4


def test_only_completions_are_learnt_and_their_end_where_they_are_open(tokenizer):
    rows = [row("Which?", " B", [" A", " B"]), row("Hello,", " Ann and Ann")]
    batch = collate(encode(rows, tokenizer), pad=2)
    assert tokenizer.decode(batch["targets"]) == " B Ann and Ann" + tokenizer.eos_token
    assert batch["ending"].tolist() == [False] * 4 + [True]
    for choice, ends in (("never", 0), ("always", 2)):
        assert collate(encode(rows, tokenizer, end_of_text=choice), 2)["ending"].sum() == ends


def test_classes_are_the_tokens_of_the_options_that_agree_so_far(tokenizer):
    options = [" red", " pale blue", " pale green"]
    found = encode([row("Colour:", " pale blue", options)], tokenizer)[0]["classes"]
    assert [{tokenizer.decode(t) for t in part} for part in found] == [
        {" red", " pale"},
        {" blue", " green"},
    ]


def test_chat_rows_are_what_the_template_writes_and_end_as_its_turns_do(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = TEMPLATE
    turns = [
        ("system", "Be short."),
        ("user", "Hi"),
        ("assistant", "Ho"),
        ("user", "And?"),
        ("assistant", "So."),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    chat = encode([row("And?", " So.", messages=messages)], tokenizer)[0]
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.decode(chat["input_ids"]) == whole.rstrip()
    start = chat["start"]
    assert tokenizer.decode(chat["input_ids"][start:]) == "So.<|im_end|>"
    assert chat["ends"] == 1
    plain = encode([row("And?", " So.", messages=messages)], tokenizer, chat_template="never")[0]
    assert tokenizer.decode(plain["input_ids"]) == "And? So.<|im_end|>"


@pytest.mark.parametrize("reply", ["d", "e", "end", "<", "|>", "assistant", "So. So.", "\\n", "0"])
def test_a_reply_that_occurs_in_the_templates_own_marks_is_learnt_as_it_is(tiny, reply):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = TEMPLATE
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": reply}]
    chat = encode([row("Hi", reply, messages=messages)], tokenizer)[0]
    learnt = chat["input_ids"][chat["start"] :]
    assert tokenizer.decode(learnt) == f"{reply}<|im_end|>"
    assert learnt[-1:] == [tokenizer.convert_tokens_to_ids("<|im_end|>")] and chat["ends"] == 1
    assert tokenizer.decode(chat["input_ids"][: chat["start"]]) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_model_without_a_chat_template_is_refused_for_chat(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="'1' of toy cannot be written .*chat_template=never"):
        encode([row("Hi", " Ho")], tokenizer, chat_template="always")


@pytest.mark.parametrize(
    ("example", "sentence"),
    [
        (row("Hi", " "), "'1' of toy has an empty completion"),
        (row("Hi", " C", [" A", " B"]), "completion ' C', which is none of its options"),
    ],
)
def test_unusable_rows_are_named(tokenizer, example, sentence):
    with pytest.raises(ValueError, match=sentence):
        encode([example], tokenizer)


def test_longer_rows_are_left_out(tokenizer):
    rows = [row("one two three four five", " six", id=str(i)) for i in range(3)] + [row("a", " b")]
    assert len(encode(rows, tokenizer, max_tokens=4)) == 1
