"""A log of a confidence task, in a few words, and steps of an experiment that run nothing."""

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


class Recorder:
    """Steps that note the commands; a test says in `leave` what each leaves behind."""

    def __init__(self, folder):
        self.folder, self.commands = folder, []

    def run(self, name, arguments, resumes=False):
        if arguments not in self.commands:
            self.commands.append(arguments)
        out = self.folder / f"{name}-{self.commands.index(arguments)}" / "out"
        out.mkdir(parents=True, exist_ok=True)
        self.leave(arguments, out)
        return out

    def of(self, *words):
        """The commands that begin with `words`."""
        return [each for each in self.commands if each[: len(words)] == [*words]]
