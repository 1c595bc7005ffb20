"""Graded datasets: logged answers with their grades, ready to train a confidence on."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets

from calib_adapters.data.asked_with import asked_with
from calib_adapters.data.training_data import GRADING, fingerprint, load_data, save_data
from harness_tasks.elicitation.frozen import CUT_ANSWER
from harness_tasks.elicitation.logs import model_arguments, read_object, results_of
from harness_tasks.elicitation.records import read_samples

STATED = "verbalized"
KEPT = ("id", "task", "split", "question", "answer", "correct")
PROMPTS = ("context", "answer_text", "query")
REPLIES = ("yes", "no")
FORM = "reply_form"  # that of a stated number, "{}%"
END = "reply_end"  # the text behind it; older logs have none
# Methods whose confidences are kept beside the answers: targets of what the model is to say.
SIGNALS = ("sampling", "likelihood")


def kept_of(method: str) -> tuple[str, ...]:
    """The columns with the prompts of `method`: those of a stated number, or of yes and no."""
    return (*PROMPTS, FORM, END) if method == STATED else (*PROMPTS, *REPLIES)


def grade(
    results: Sequence[Path], out: Path, method: str = "zero_shot_classifier"
) -> datasets.DatasetDict:
    """Make a graded dataset from logged samples of train and validation splits.

    A row is a question, the model's answer, whether it was correct, and the exact prompt with
    which `method` asks about that answer. Rows of ``verbalized`` also hold the confidences of
    ``sampling`` and ``likelihood``, where they were part of the run.

    Args:
        results: lm-eval output folders, searched recursively, or ``samples_*.jsonl`` files.
        out: folder for the dataset, a `datasets.DatasetDict` saved to disk, with ``grading.json``.
        method: the method whose query is trained; it must have been part of the run.

    Raises:
        FileNotFoundError: no logged samples.
        ValueError: a log that is damaged, cut off or holds a question twice, test rows, two models,
            a question with two answers, a task asked or graded in two ways, a method that was not
            logged, or an `out` that exists.
    """
    if out.exists():
        raise ValueError(f"{out} exists already; delete it or choose another folder.")
    sources, models, rows, asked, ungraded = [], set(), {}, {}, 0
    how_asked, unasked, columns = [], [], kept_of(method)
    for file in _sample_files(results):
        count = 0
        for record in _records(file, method):
            if record["correct"] is None:  # a judge's verdict that could not be read
                ungraded += 1
                continue
            # The question about the answer could not be asked, or the answer is incomplete.
            if "query" not in record or (record["reason"] or "").startswith(CUT_ANSWER):
                unasked.append(record["reason"])
                continue
            how = record.get("signature")
            if asked.setdefault(record["task"], how) != how:
                raise ValueError(
                    f"{file}: {record['task']} was asked and graded as {how}, but in another "
                    f"file as {asked[record['task']]}; an adapter can learn only one of them."
                )
            row = {name: record[name] for name in (*KEPT, *columns) if name != END}
            if END in columns:
                row[END] = record.get(END, "")
            known = rows.setdefault(_key(row), row)
            if known["answer"] != row["answer"]:
                raise ValueError(
                    f"{file} answers the question {row['id']!r} with {row['answer']!r}, another "
                    f"file answers it with {known['answer']!r}. Grade one run of each split."
                )
            count += 1
        if count:
            sources.append({"file": file.name, "sha256": _sha256(file), "rows": count})
            beside = _results_beside(file, record["task"])
            name = model_arguments(beside).get("pretrained")
            # Samples alone are enough to train on; the provenance then says null.
            models.add(None if name is None else Path(str(name)).name)
            how_asked.append(asked_with(model_arguments(beside)))
            if how_asked[-1] != how_asked[0]:
                raise ValueError(
                    f"the model of {file} was asked with {_shown(how_asked[-1])}, that of "
                    f"another file with {_shown(how_asked[0])}; an adapter is trained with the "
                    "tokens of only one."
                )
    if not rows:
        raise ValueError(
            f"no graded sample of the method {method!r} in {', '.join(map(str, results))} "
            f"({ungraded} without a verdict, {len(unasked)} unfinished or not asked about"
            f"{_why(unasked)}). Run the task "
            f'with --log_samples and --metadata \'{{"methods": ["{method}"], "split": "train"}}\'.'
        )
    if len(models) > 1:
        raise ValueError(
            f"the samples come from different models ({', '.join(sorted(map(str, models)))}); "
            f"an adapter learns to judge the answers of one."
        )
    if ungraded:
        logging.getLogger(__name__).warning(
            "%d answers were left out: the judge's verdicts on them could not be read.", ungraded
        )
    if unasked:
        logging.getLogger(__name__).warning(
            "%d answers were left out: they are unfinished, or nothing was asked about them%s.",
            len(unasked),
            _why(unasked),
        )
    signals = _add_signals(rows, results) if method == STATED else ()
    graded = _by_split(rows.values(), (*KEPT, *columns), signals)
    provenance = {
        "model": models.pop(),
        "asked_with": how_asked[0],
        "method": method,
        "asked": asked,
        "ungraded": ungraded,
        "unasked": len(unasked),
        "sources": sources,
        "splits": {
            name: {"n": len(split), "accuracy": sum(split["correct"]) / len(split)}
            for name, split in graded.items()
        },
        "fingerprint": fingerprint(graded),
        "versions": {name: version(name) for name in ("calibench", "datasets", "lm_eval")},
    }
    save_data(graded, {GRADING: provenance}, out)
    return graded


def load_graded(data: Path) -> tuple[datasets.DatasetDict, dict[str, Any]]:
    """The graded dataset in the folder `data` and its provenance.

    Raises:
        ValueError: `data` is not a graded dataset.
    """
    return load_data(data, GRADING, "calibench grade RESULTS")


def _sample_files(results: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in results:
        found = sorted(path.rglob("samples_*.jsonl")) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise FileNotFoundError(
                f"{path} holds no samples_*.jsonl; run lm_eval with --log_samples --output_path."
            )
        files += found
    return files


def _records(file: Path, method: str) -> Iterator[dict[str, Any]]:
    for _, record in read_samples(file):
        if str(record["split"]).startswith("test"):
            raise ValueError(
                f"{file} holds answers to the split {record['split']!r}. Training on test "
                f"questions would make every later score void: run with --metadata "
                f'\'{{"split": "train"}}\'.'
            )
        if record["method"] == method:
            columns = kept_of(method)
            missing = [name for name in columns if name not in record]
            if missing and method == STATED:
                raise ValueError(
                    f"{file} was made before the prompts of {method} were logged (it lacks "
                    f"{', '.join(missing)}); run the evaluation again."
                )
            if missing and record["reason"] is None:
                raise ValueError(
                    f"the method {method!r} asks no question that could be trained "
                    f"({file} lacks {', '.join(missing)}); use zero_shot_classifier or {STATED}."
                )
            for name in columns:
                if name in record and not isinstance(record[name], str):
                    raise ValueError(
                        f"{file}: the {name} of the question {record['id']!r} is "
                        f"{record[name]!r:.60}, not a text; the file was changed, so run the "
                        "evaluation again."
                    )
            yield record


def _key(record: Mapping[str, Any]) -> tuple[str, str, str]:
    """What tells questions apart; many data sets number them anew in each split."""
    return record["task"], record["split"], record["id"]


def _add_signals(rows: Mapping[Any, dict[str, Any]], results: Sequence[Path]) -> tuple[str, ...]:
    """Add to each of `rows` the confidences of `SIGNALS` that were logged with its answer.

    Returns:
        The names of those that any row has; where a row has none, it is ``None``.
    """
    found: dict[str, dict[Any, float | None]] = {name: {} for name in SIGNALS}
    for file in _sample_files(results):
        for _, record in read_samples(file):
            key = _key(record)
            if record["method"] in found and key in rows:
                if record["answer"] == rows[key]["answer"]:
                    found[record["method"]][key] = record["confidence"]
    names = tuple(
        name for name, values in found.items() if any(v is not None for v in values.values())
    )
    for key, row in rows.items():
        row.update({name: found[name].get(key) for name in names})
    return names


def _results_beside(log: Path, task: str) -> dict[str, Any]:
    """The content of the results file beside a log; empty without one."""
    results = results_of(log, task)
    return {} if results is None else read_object(results)[0]


def _shown(arguments: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{name}={value}" for name, value in arguments.items())
    return listed or "the model's own tokenizer and revision"


def _why(unasked: Sequence[str]) -> str:
    """The most frequent reason why answers were left out."""
    return f"; mostly: {Counter(unasked).most_common(1)[0][0]}" if unasked else ""


def _by_split(rows: Any, texts: Sequence[str], numbers: Sequence[str]) -> datasets.DatasetDict:
    splits: dict[str, list] = {}
    for row in rows:
        splits.setdefault(row["split"], []).append(row)
    features = datasets.Features({name: datasets.Value("string") for name in texts})
    features["correct"] = datasets.Value("int8")
    features.update({name: datasets.Value("float64") for name in numbers})
    return datasets.DatasetDict(
        {name: datasets.Dataset.from_list(split, features) for name, split in splits.items()}
    )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
