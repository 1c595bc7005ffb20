"""Logged runs of which `grade` makes a graded data set."""

import json

CONTEXT = "Question: Capital of {}?\nAnswer:"


def record(name, split="train", answer="Paris", correct=1, method="zero_shot_classifier"):
    context = CONTEXT.format(name)
    return {
        "task": "calib_x",
        "split": split,
        "id": f"capital:{name}",
        "method": method,
        "question": f"Capital of {name}?",
        "answer": answer,
        "correct": correct,
        "confidence": 0.5,
        "reason": None,
        "signature": "wording:yes_no",
        "context": context,
        "answer_text": f" {answer}",
        "query": f"{context} {answer}\n\nIs the proposed answer correct?\nAnswer:",
        "yes": " Yes",
        "no": " No",
    }


def stated_record(name, method="verbalized", confidence=1.0, **others):
    """A record of a stated number; of `sampling` or `likelihood`, one without prompts."""
    row = record(name, method=method, **others)
    context, answer_text = row["context"], row["answer_text"]
    for column in ("yes", "no", "query"):
        del row[column]
    row |= {"signature": "format:percent", "confidence": confidence}
    if method != "verbalized":
        del row["context"], row["answer_text"]
        return row
    query = f"{context}{answer_text}\n\nHow likely is it?\nProbability:"
    return {**row, "query": query, "reply_form": " {}%", "reply_end": "\n\nQuestion:"}


def write_run(folder, records, model="base", stamp="2026-01-01T00-00-00.000000"):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"samples_calib_x_{stamp}.jsonl"
    rows = [
        json.dumps({"doc_id": i, "filtered_resps": [json.dumps(r), "None"], "filter": r["method"]})
        for i, r in enumerate(records)
    ]
    file.write_text("\n".join(rows), encoding="utf-8")
    results = {"config": {"model_args": {"pretrained": f"/models/{model}"}}}
    (folder / f"results_{stamp}.json").write_text(json.dumps(results), encoding="utf-8")
    return folder
