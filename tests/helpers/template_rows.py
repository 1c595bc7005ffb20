"""Rows of a user's own, and the file that they stand in."""

import json

PAIRS = [
    {"prompt": "Capital of France?", "reference": "Paris"},
    {"prompt": "Symbol of iron?", "reference": ["Fe", "fe"]},
    {"prompt": "🌍 ما عاصمة مصر؟", "reference": "القاهرة"},
]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
