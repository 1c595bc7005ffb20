"""Gemma 3 and Qwen2.5: they answer, and their tokenizers are the published ones."""

import re

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from helpers.model_cache import folder_of

GEMMA, QWEN = "gemma-3-270m", "Qwen2.5-Coder-0.5B-Instruct"
LARGER_QWEN = "Qwen2.5-Coder-1.5B-Instruct"

# What is published: ids that users of Google's tokenizer report for a turn of a chat, and those of
# transformers' own test of Qwen's tokenizer.
TURN = "<start_of_turn>user\nWhat is the capital of France?<end_of_turn>\n<start_of_turn>model\n"
TURN_IDS = [2, 105, 2364, 107, 3689, 563, 506, 5279, 529, 7001, 236881, 106, 107, 105, 4368, 107]
CODE = (
    '```python\ntokenizer = AutoTokenizer.from_pretrained("Qwen/Qwen-tokenizer")\n'
    'tokenizer("世界，你好！")```'
)
CODE_IDS = [
    73594, 12669, 198, 85593, 284, 8979, 37434, 6387, 10442, 35722, 445, 48, 16948, 45274, 16948,
    34841, 3135, 1138, 85593, 445, 99489, 3837, 108386, 6313, 899, 73594,
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizers():
    """By name; each is loaded once, when a test asks for it."""
    loaded = {}

    def tokenizer(name):
        if name not in loaded:
            loaded[name] = AutoTokenizer.from_pretrained(folder_of(name))
        return loaded[name]

    return tokenizer


@pytest.fixture(scope="module")
def gemma(tokenizers):
    return tokenizers(GEMMA)


@pytest.fixture(scope="module")
def qwen(tokenizers):
    return tokenizers(QWEN)


def test_gemmas_tokens_are_the_published_ones(gemma):
    assert gemma.encode(TURN) == TURN_IDS
    assert gemma.decode(TURN_IDS) == f"<bos>{TURN}"


def test_gemma_begins_every_text_with_bos(gemma):
    assert gemma.encode("") == [gemma.bos_token_id] == [2]
    assert gemma.encode("", add_special_tokens=False) == []
    assert (gemma.eos_token_id, gemma.pad_token_id) == (1, 0)


def test_gemma_is_a_base_model_without_a_chat_template(gemma):
    assert gemma.chat_template is None


def test_lines_and_spaces_side_by_side_are_one_token_of_gemma(gemma):
    def pieces(text):
        return gemma.convert_ids_to_tokens(gemma.encode(text, add_special_tokens=False))

    assert pieces("\n\n1") == ["\n\n", "1"]
    assert pieces("a\n\n\nb") == ["a", "\n\n\n", "b"]
    assert pieces("    if") == ["▁▁▁▁", "if"]


def test_qwens_tokens_are_the_published_ones(qwen):
    assert qwen.encode(CODE) == CODE_IDS
    assert qwen.encode(" 32+") == [220, 18, 17, 10]  # of the same test


def test_qwen_adds_no_token_and_knows_its_own(qwen):
    assert qwen.encode("") == []
    assert qwen.encode("<|endoftext|><|im_start|><|im_end|>") == [151643, 151644, 151645]
    assert (qwen.eos_token, qwen.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_qwen_composes_characters_first(qwen):
    # Three characters that NFC, NFD, NFKC and NFKD write in four ways (unicode.org's FAQ).
    decomposed, composed = "\u03d2\u0301\u03d2\u0308\u017f\u0307", "\u03d3\u03d4\u1e9b"
    assert qwen.encode(decomposed) == qwen.encode(composed)
    assert qwen.decode(qwen.encode(decomposed)) == composed


def test_the_chat_template_opens_with_qwens_own_system_prompt(qwen):
    messages = [{"role": "user", "content": "Hi"}]
    assert qwen.apply_chat_template(messages, add_generation_prompt=True, tokenize=False) == (
        "<|im_start|>system\n"
        "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("name", [GEMMA, QWEN])
def test_texts_are_written_back_and_a_digit_is_a_token_of_its_own(tokenizers, name):
    tokenizer = tokenizers(name)

    @given(st.text(alphabet="ab 09\n.,'éü本🙂"))
    @example("In 1984, 2,500 people.")
    @example("First.\n\n1984")
    @example("x  12")
    @example("Bogotá, Côte d'Ivoire 🙂  two  spaces\n\n")
    @example("don 't stop , now .")
    def check(text):
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.decode(ids) == text
        digits = [token for token in map(tokenizer.decode, ids) if re.search(r"\d", token)]
        assert digits == re.findall(r"\d", text)

    check()


@pytest.mark.nightly
def test_gemma_goes_on_with_paris(gemma):
    model = AutoModelForCausalLM.from_pretrained(folder_of(GEMMA))
    assert model.dtype == torch.float32
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    prompt = gemma("Italy: Rome\nSpain: Madrid\nFrance:", return_tensors="pt")
    written = model.generate(**prompt, max_new_tokens=1, do_sample=False)
    assert gemma.decode(written[0, -1]) == " Paris"


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "alike"), [(QWEN, 0.99), (LARGER_QWEN, 0.98)], ids=["0.5B", "1.5B"]
)
def test_qwens_chat_template_leads_to_paris(tokenizers, name, alike):
    qwen = tokenizers(name)
    model = AutoModelForCausalLM.from_pretrained(folder_of(name))
    assert model.dtype == torch.float32
    coming, going = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    # Of one matrix, which the file rounds to five bits and to eight.
    assert not torch.equal(coming, going)
    assert torch.nn.functional.cosine_similarity(coming[:1000], going[:1000]).min() > alike
    assert model.generation_config.eos_token_id == [151645, 151643]
    prompt = qwen.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True, return_tensors="pt", return_dict=True,
    )  # fmt: skip
    written = model.generate(**prompt, max_new_tokens=20, do_sample=False)
    assert qwen.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True) == (
        "The capital of France is Paris."
    )
    assert written[0, -1] == 151645  # it stopped by itself
