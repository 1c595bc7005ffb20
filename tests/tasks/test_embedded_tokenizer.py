"""The embedded model: it answers, and its tokenizer is right."""

import re
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st


def test_the_chat_template_leads_to_paris(embedded_model_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded_model_path)
    model = AutoModelForCausalLM.from_pretrained(embedded_model_path)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = model.generate(**prompt, max_new_tokens=20, do_sample=False)
    answer = tokenizer.decode(output[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == "The capital of France is Paris."
    assert output[0, -1] == tokenizer.convert_tokens_to_ids("<|im_end|>")  # it stopped by itself


@pytest.fixture(scope="module")
def tokenizer(embedded_model_path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(embedded_model_path)


def test_the_chat_template_opens_with_smollms_own_system_prompt(tokenizer):
    messages = [{"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False) == (
        "<|im_start|>system\n"
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_special_tokens_are_single_and_none_is_added(tokenizer):
    assert tokenizer.encode("<|im_start|><|im_end|>") == [1, 2]  # the ids that GGUF declares
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert tokenizer.encode("") == []  # add_bos_token is false
    assert len(tokenizer.encode(" Yes")) == len(tokenizer.encode(" No")) == 1


# The vocabulary has no token for some control characters and for planes without any character.
@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"])))
@example("Bogotá, Côte d'Ivoire")
@example("🙂  two  spaces\n\n")
@example("السلام")
@example("don 't stop , now .")
def test_the_tokenizer_writes_every_text_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(deadline=None)
@given(st.text(alphabet="ab 09\n\t.,'"))
@example("In 1984, 2,500 people.")
@example("First.\n\n1984")
@example("x  12")
def test_a_digit_is_a_token_of_its_own_and_cuts_the_text(tokenizer, text):
    """SmolLM2 cuts out digits before anything else, so text can be encoded piece by piece."""
    pieces = [piece for piece in re.split(r"(\d)", text) if piece]
    encoded = [tokenizer.encode(piece) for piece in pieces]
    assert tokenizer.encode(text) == sum(encoded, [])
    assert all(len(ids) == 1 for piece, ids in zip(pieces, encoded, strict=True) if piece.isdigit())


def test_a_second_call_returns_the_same_folder_without_loading_torch(embedded_model_path):
    code = (
        "import sys; from harness_tasks.embedded_models import ensure_model; print(ensure_model());"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(embedded_model_path)
