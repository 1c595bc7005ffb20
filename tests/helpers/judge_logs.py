"""Logs of lm-eval as a judge finds them, written by hand."""

import json


def record(id, answer, **fields):
    """A logged row of a confidence task."""
    written = {
        "task": "t",
        "split": "test",
        "id": id,
        "method": "likelihood",
        "question": f"What is {id}?",
        "answer": answer,
        "correct": 0,
        "confidence": 0.5,
        "reason": None,
        "signature": "norm:tokens|grading:exact",
        **fields,
    }
    return {
        "doc": {"id": id},
        "doc_hash": f"hash of {id}",
        "target": f"['{id}', 'the {id}']",
        "resps": [[answer]],
        "filtered_resps": [json.dumps(written)],
    }


def generated(id, text):
    """A logged row of a stock task that generates text."""
    return {
        "doc": {"question": f"What is {id}?"},
        "doc_hash": f"hash of {id}",
        "target": id,
        "arguments": {"gen_args_0": {"arg_0": "prompt", "arg_1": {}}},
        "resps": [[text]],
        "filtered_resps": [text],
    }


def log(folder, rows, name="samples_t_2026-01-01T00-00-00.jsonl"):
    """Write the rows; those without a number of their document or a filter get them."""
    folder.mkdir(exist_ok=True)
    rows = [{"doc_id": i, "filter": _method(row), **row} for i, row in enumerate(rows)]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def _method(row):
    try:
        return json.loads(row["filtered_resps"][0])["method"]
    except (KeyError, IndexError, ValueError):
        return "none"
