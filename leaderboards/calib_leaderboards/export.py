"""Export the entries of a store for other programs: model cards and a Hugging Face dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from calib_leaderboards.export_eee import eee_files
from calib_leaderboards.pages.names import distinct
from calib_leaderboards.store.entry import Entry
from calib_leaderboards.store.paths import entry_path
from calib_leaderboards.store.read import read_entries, read_kept_samples
from calib_leaderboards.store.samples import Samples
from calib_leaderboards.tables.formats import flat
from calib_leaderboards.tables.parquet import to_parquet, to_table
from calib_leaderboards.tables.rows import table_rows
from calib_leaderboards.tables.words import TITLES
from calib_metrics.outputs import write_atomically

FORMS = ("eee", "model-index", "dataset")

_DATASET_CARD = """\
---
pretty_name: Calibration leaderboard
tags:
- calibration
- evaluation
- leaderboard
configs:
- config_name: scores
  default: true
  data_files:
  - split: train
    path: data/scores.parquet
- config_name: samples
  data_files:
  - split: train
    path: data/samples.parquet
---

# Calibration leaderboard

{entries:,} entries of {models:,} models on {tasks:,} tasks, written by
`calibench leaderboard export dataset`. Every score is recomputed from logged samples.

`scores` has one line per score: model, adapter, task, setting, method, metric, its value with a
95 % bootstrap interval (`low`, `high`), its rank among rows about the same questions, and the
signature that says how it was computed.

`samples` has one line per question and method: `confidence` in [0, 1] (null where the model gave
none) and `correct`; for tasks without confidences, `value` of the score that `metric` names.
Questions and answers are hashes: `question_sha256` and `answer_sha256` tell which rows can be
paired.

```python
from datasets import load_dataset

scores = load_dataset("PATH_OR_NAME", "scores", split="train")
```
"""


def export(store: Path, form: str, out: Path) -> list[Path]:
    """Write the entries of `store` in another format below `out`; return the files.

    form: "eee", one JSON file per entry in the schema of Every Eval Ever (see `export_eee`);
    "model-index", for each model and adapter the YAML that goes at the head of a model card;
    "dataset", a folder that `datasets.load_dataset` reads and the Hub shows.

    Files of these names are replaced, others stay. Raises ValueError for another form, and
    FileNotFoundError if the store is missing or empty.
    """
    if form not in FORMS:
        raise ValueError(f"'{form}' is not an export format; choose one of {', '.join(FORMS)}.")
    entries = read_entries(Path(store))
    if not entries:
        raise FileNotFoundError(
            f"'{store}' has no entries; add runs with `calibench leaderboard add`."
        )
    made = {
        "eee": lambda: eee_files(entries),
        "model-index": lambda: model_index_files(entries),
        "dataset": lambda: _dataset_files(entries, Path(store)),
    }[form]()
    return [write_atomically(Path(out) / name, content) for name, content in made]


def model_index_files(entries: Iterable[Entry]) -> Iterator[tuple[str, bytes]]:
    """(name, YAML) for every model and adapter: what goes between the "---" lines of its card."""
    from huggingface_hub import EvalResult, ModelCardData

    cards: dict[str, list[Entry]] = {}
    for entry in entries:
        cards.setdefault("/".join(entry_path(entry).parts[:2]), []).append(entry)
    for path, members in cards.items():
        results = []
        for entry in members:
            labels = distinct([(score.label, score.method) for score in entry.scores])
            for label, score in zip(labels, entry.scores, strict=True):
                results += [
                    EvalResult(
                        task_type="text-generation",
                        task_name="Text Generation",
                        dataset_type=entry.task.name,
                        dataset_name=entry.task.name,
                        dataset_config=entry.setting.slug,
                        dataset_split=entry.task.split,
                        dataset_revision=entry.task.version,
                        metric_type=name,
                        metric_name=f"{TITLES.get(name, name)} ({label})",
                        metric_value=metric.value,
                        metric_args={
                            "method": score.method,
                            "low": metric.low,
                            "high": metric.high,
                            "signature": metric.signature,
                        },
                    )
                    for name, metric in score.metrics.items()
                    if metric.value is not None
                ]
        model = members[0].model
        name = model.name.rpartition("/")[2]
        data = ModelCardData(
            model_name=model.adapter.name if model.adapter else name,
            eval_results=results or None,
            **({"base_model": model.name} if model.adapter and "/" in model.name else {}),
        )
        yield f"{path}.yaml", (data.to_yaml() + "\n").encode("utf-8")


def _dataset_files(entries: list[Entry], store: Path) -> Iterator[tuple[str, bytes]]:
    def kept(entry: Entry) -> Samples | None:
        there = entry.samples.file is not None
        return read_kept_samples(store / entry_path(entry)) if there else None

    yield "data/scores.parquet", to_parquet([to_table(flat(table_rows(entries, kept)))])
    yield "data/samples.parquet", _samples(entries, store)
    yield (
        "README.md",
        _DATASET_CARD.format(
            entries=len(entries),
            models=len({entry.model.name for entry in entries}),
            tasks=len({entry.task.name for entry in entries}),
        ).encode("utf-8"),
    )


def _samples(entries: Iterable[Entry], store: Path) -> bytes:
    """One line per entry, question and method; each entry's are written before the next's."""
    import pyarrow
    from pyarrow import parquet

    text, real = pyarrow.string(), pyarrow.float64()
    schema = pyarrow.schema(
        [
            ("entry", text),
            ("id", text),
            ("question_sha256", text),
            ("answer_sha256", text),
            ("method", text),
            ("metric", text),
            ("correct", real),
            ("confidence", real),
            ("value", real),
        ]
    )
    buffer = pyarrow.BufferOutputStream()
    with parquet.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for entry in entries:
            if entry.samples.file is None:
                continue
            path = entry_path(entry)
            samples = read_kept_samples(store / path)
            n = len(samples.ids)
            shared = {
                "entry": [str(path.with_suffix(""))] * n,
                "id": samples.ids,
                "question_sha256": samples.questions,
                "answer_sha256": samples.answers or [None] * n,
            }
            for method, confidence in samples.confidence.items():
                _add(
                    writer,
                    schema,
                    n,
                    shared,
                    method=[method] * n,
                    correct=samples.verdicts.get(method, samples.correct),
                    confidence=confidence,
                )
            for name, values in samples.values.items():
                metric, _, method = name.partition(",")
                _add(
                    writer,
                    schema,
                    n,
                    shared,
                    method=[method] * n,
                    metric=[metric] * n,
                    value=values,
                )
    return buffer.getvalue().to_pybytes()


def _add(writer, schema, n: int, shared: dict, **columns: object) -> None:
    import pyarrow

    given = {**shared, **columns}
    arrays = [  # from_pandas: NaN, which marks a missing number, becomes null
        pyarrow.array(given.get(field.name, [None] * n), field.type, from_pandas=True)
        for field in schema
    ]
    writer.write_table(pyarrow.table(arrays, schema=schema))
