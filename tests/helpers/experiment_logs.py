"""A log of a confidence task, in a few words."""

import json
from collections import Counter


def write_log(file, rows):
    """rows: (method, confidence, correct, log-likelihoods of the options)."""
    base = {"task": "calib_x", "split": "test", "question": "?", "answer": "a", "reason": None}
    lines, asked = [], Counter()
    for method, confidence, correct, options in rows:
        number = asked[method]
        asked[method] += 1
        record = {
            **base,
            "id": str(number),
            "method": method,
            "confidence": confidence,
            "correct": correct,
            "signature": "x|grading:option",
        }
        resps = [[[str(value), "False"]] for value in options]
        row = {"doc_id": number, "filter": method, "filtered_resps": [json.dumps(record)]}
        lines.append(json.dumps({**row, "resps": resps}))
    file.write_text("\n".join(lines), encoding="utf-8")
    return file
