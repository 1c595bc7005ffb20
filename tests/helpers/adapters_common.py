"""A tiny model and small data sets that the tests of the adapters share.

The fixtures made of these functions, ``tiny``, ``graded`` and ``prepared``, are in conftest.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from calib_adapters.data.grade import grade
from calib_adapters.data.training_data import PREPARED, fingerprint, save_data
from helpers.graded_runs import record, write_run

RECIPE = "calibration_tuning_lora_prompt"
FAST = ("dtype=float32", "optimiser.batch_size=8", "lora.dropout=0.1")


def tiny_model(
    folder: Path, tokenizer_of: str | Path, hidden: int = 32, line_ends: float = 1.0
) -> str:
    """A Llama with random weights and a real tokenizer, written to `folder`.

    With `line_ends` above 1, its texts are short lines: the embedding of a line's end, which is its
    row of the output head too, is so much longer, and that of an empty line is the opposite, so
    that one of them is likely. (With 1, nothing it writes ever ends.)
    """
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        tie_word_embeddings=True,
        pad_token_id=2,
        eos_token_id=2,
        bos_token_id=1,
    )
    model = LlamaForCausalLM(config)
    if line_ends > 1:
        one, two = (tokenizer.encode(text)[-1] for text in ("\n", "\n\n"))
        with torch.no_grad():
            weight = model.model.embed_tokens.weight
            weight[one] *= line_ends
            weight[two] = -weight[one]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def graded_answers(folder: Path) -> Path:
    """40 + 20 answers of which those that name a colour are correct: something to learn."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        correct = int(rng.random() < 0.5)
        right, wrong = ["red", "green", "pale blue"], ["iron", "tin", "old lead"]
        answer = rng.choice(right if correct else wrong)
        split = "train" if i < 40 else "validation"
        rows.append(record(f"Land {i}", split=split, answer=str(answer), correct=correct))
    run = write_run(folder / "run", rows, model="tiny")
    grade([run], folder / "graded")
    return folder / "graded"


def prepared_row(number: int, split: str, *, options: bool = True, task: str = "toy") -> dict:
    """A row of a prepared data set; its completion can be read off its prompt."""
    letters = [" A", " B", " C"]
    prompt = f"Question: which letter has number {number % 3}?\nAnswer:"
    return {
        "id": f"{task}-{number}",
        "task": task,
        "split": split,
        "prompt": prompt,
        "completion": letters[number % 3],
        "options": letters if options else None,
        "messages": None,
    }


PREPARED_FEATURES = datasets.Features(
    {
        **dict.fromkeys(("id", "task", "split", "prompt", "completion"), datasets.Value("string")),
        "options": datasets.List(datasets.Value("string")),
        "messages": datasets.List(
            {"role": datasets.Value("string"), "content": datasets.Value("string")}
        ),
    }
)


def write_prepared(folder: Path, rows: list[dict]) -> Path:
    """A prepared data set of `rows`, by their splits, in `folder`."""
    splits = dict.fromkeys(row["split"] for row in rows)
    data = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_list(
                [row for row in rows if row["split"] == name], features=PREPARED_FEATURES
            )
            for name in splits
        }
    )
    description = {
        "fingerprint": fingerprint(data),
        "sources": ["toy"],
        "versions": {},
        "seed": 0,
        "splits": {name: len(part) for name, part in data.items()},
    }
    save_data(data, {PREPARED: description}, folder)
    return folder


def prepared_questions(folder: Path) -> Path:
    """40 + 20 + 20 multiple-choice rows: train, validation, calibration."""
    splits = ["train"] * 40 + ["validation"] * 20 + ["calibration"] * 20
    return write_prepared(folder, [prepared_row(i, split) for i, split in enumerate(splits)])


def write_lines(path, records):
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path
