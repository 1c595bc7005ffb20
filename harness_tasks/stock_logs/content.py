"""The content of a log's file, compressed or not, and which program wrote it."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

Source = Path | bytes
Kind = Literal["lm-eval", "inspect", "helm", "lighteval"]

_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_ZIP = b"PK\x03\x04"
_ZSTD = 93  # compression method of zip archives
_HEAD = 1 << 20
_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.bz2", ".parquet", ".eval")
_JSON_NAMES = ("per_instance_stats.json", "per_instance_stats.json.gz")
# Columns of its details, of older and newer versions.
_LIGHTEVAL = ({"full_prompt", "choices", "gold_index"}, {"doc", "model_response", "metric"})
_FORM = re.compile(r"\.(jsonl|json|parquet|eval)(\.(gz|zst|bz2))?$")
_LM_EVAL = frozenset(("doc", "resps", "filtered_resps"))


class NoConfidence(ValueError):
    """A complete log without confidences; the message says what is missing."""


def name_of(source: Source) -> str:
    """Return a file's name for errors."""
    return "standard input" if isinstance(source, bytes) else f"'{source}'"


def logs_below(folder: Path) -> list[Path]:
    """Return all logs at any depth below a folder, in the order of their names.

    Raises FileNotFoundError if there is none, ValueError if one occurs twice.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = [path for path in files if _may_be_log(path.name) and kind_of(path)]
    if not found:
        raise FileNotFoundError(
            f"'{folder}' holds no log: neither samples_*.jsonl of lm_eval, written by "
            "--output_path and --log_samples, nor an .eval of Inspect, nor HELM's "
            "per_instance_stats.json. To score a table, give the file."
        )
    named: dict[Path, Path] = {}
    for path in found:
        plain = path.with_name(_FORM.sub("", path.name))
        if plain in named:
            raise ValueError(
                f"'{named[plain]}' and '{path.name}' are one log in two forms, and its rows would "
                "count twice: remove one, or give files."
            )
        named[plain] = path
    return found


def _may_be_log(name: str) -> bool:
    stamped = name.startswith("samples_") and name.endswith(".json")  # between 0.4.2 and 0.4.3
    return stamped or name.endswith(_SUFFIXES) or name in _JSON_NAMES


def kind_of(source: Source, confidence: str = "") -> Kind | None:
    """Return which program wrote a log; None for tables and anything else.

    confidence: a Parquet file with a column of this name is a table, whatever its other columns.
    """
    try:
        head = _head(source, 8)
        if head.startswith(_ZIP):
            with zipfile.ZipFile(_raw(source)) as archive:
                names = archive.namelist()
            inspect = "header.json" in names or "_journal/start.json" in names
            return "inspect" if inspect else None
        if head.startswith(b"PAR1"):
            columns = set(_parquet(source).schema_arrow.names)
            if confidence in columns:
                return None
            if any(each <= columns for each in _LIGHTEVAL):
                return "lighteval"
            return "lm-eval" if _LM_EVAL <= columns else None
        return _kind_of_text(_head(source, _HEAD).decode("utf-8-sig", "replace").lstrip())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return None  # other code reports what is wrong with it


def _kind_of_text(text: str) -> Kind | None:
    if text.startswith("["):
        if '"stats"' in text and '"instance_id"' in text:
            return "helm"
        return "lm-eval" if all(f'"{key}"' in text for key in _LM_EVAL) else None
    if not text.startswith("{"):
        return None
    try:
        first, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        first = None  # longer than the head, or over several lines
    if isinstance(first, dict) and _LM_EVAL <= first.keys():
        return "lm-eval"
    if first is None and text.find("\n") < 0 and all(f'"{key}"' in text for key in _LM_EVAL):
        return "lm-eval"
    keys = ('"version"', '"status"', '"eval"')
    begins = text[:4096]
    return "inspect" if all(key in begins for key in keys) and '"task_id"' in text else None


def objects(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of JSON Lines, a JSON array or Parquet, each with its place for errors.

    Raises ValueError naming file and line where the content is damaged.
    """
    name = name_of(source)
    if _head(source, 4).startswith(b"PAR1"):
        number = 0
        for batch in _parquet(source).iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                number += 1
                yield f"{name}, row {number}", row
        return
    with _open(source) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig")
        try:
            first = text.read(1)
            while first.isspace():
                first = text.read(1)
            if first == "[":
                yield from _array(name, first + text.read())
                return
            line, number = first + text.readline(), 1
            while line:
                if line.strip():
                    yield f"{name}, line {number}", _object(line, f"{name}, line {number}")
                line, number = text.readline(), number + 1
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} is not UTF-8 text ({error}), as logs are.") from None
        except OSError as error:
            raise ValueError(f"{name}: the file is damaged or cut off ({error}).") from None


def document(source: Source) -> Any:
    """Return the one JSON value that a file holds. Raises ValueError if it is damaged."""
    with _open(source) as stream:
        return _json(stream.read(), name_of(source))


def archive(source: Source) -> zipfile.ZipFile | None:
    """Return a zip archive to read from; None if the file is not one."""
    return zipfile.ZipFile(_raw(source)) if _head(source, 4) == _ZIP else None


def unpack(packed: zipfile.ZipFile, member: str) -> bytes:
    """Return a file of an archive, even one packed with zstd, which Python before 3.14 cannot read.

    Raises NotImplementedError for other compression methods that Python does not know.
    """
    info = packed.getinfo(member)
    if info.compress_type != _ZSTD:
        return packed.read(member)
    import pyarrow as pa

    stream = packed.fp
    assert stream is not None  # it is open
    stream.seek(info.header_offset)
    name, extra = struct.unpack("<26xHH", stream.read(30))  # lengths of what follows the header
    stream.seek(name + extra, io.SEEK_CUR)
    content = pa.BufferReader(stream.read(info.compress_size))
    with pa.input_stream(content, compression="zstd") as unpacked:
        return unpacked.read()


def _array(name: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = _json(text, name)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ValueError(f"{name}, entry {number} is not a JSON object.")
        yield f"{name}, entry {number}", row


def _object(line: str, where: str) -> dict[str, Any]:
    row = _json(line, where)
    if not isinstance(row, dict):
        raise ValueError(f"{where} is not a JSON object.")
    return row


def _json(text: str | bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{where}: not valid JSON ({error}); the file is cut off or damaged."
        ) from None


def _raw(source: Source) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _head(source: Source, size: int) -> bytes:
    with _open(source) as stream:
        return stream.read(size)


def _open(source: Source) -> Any:
    """Return a stream of the uncompressed bytes."""
    import pyarrow as pa

    content = pa.BufferReader(source) if isinstance(source, bytes) else str(source)
    with pa.input_stream(content, compression=None) as stream:
        start = stream.read(8)
    packed = next((how for magic, how in _PACKED.items() if start.startswith(magic)), None)
    content = pa.BufferReader(source) if isinstance(source, bytes) else str(source)
    return pa.input_stream(content, compression=packed)


def _parquet(source: Source) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        return parquet.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{name_of(source)}: a damaged Parquet file ({error}).") from None
