"""The machine and software behind a results file; None for what the file does not state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from calib_leaderboards.runs.values import text


def versions_of(results: Mapping[str, Any]) -> dict[str, str | None]:
    """The versions of lm_eval, transformers and torch."""
    environment = str(results.get("pretty_env_info") or "")
    torch = re.search(r"^PyTorch version: (\S+)", environment, re.MULTILINE)
    return {
        "lm_eval": text(results.get("lm_eval_version")),
        "transformers": text(results.get("transformers_version")),
        "torch": torch.group(1) if torch else None,
    }


def hardware_of(environment: Any) -> dict[str, str | None]:
    """Processor, cores and accelerator, as lm-eval's report on the environment names them."""
    report = str(environment or "")
    found = {}
    for name, label in (
        ("cpu", "Model name"),
        ("cores", r"CPU\(s\)"),
        ("gpu", "GPU models and configuration"),
    ):
        match = re.search(rf"^{label}: *(.+)$", report, re.MULTILINE)
        value = match.group(1).strip() if match else None
        found[name] = None if value == "Could not collect" else value
    return found


def date_of(seconds: Any) -> str | None:
    """The day, in UTC, of a time in seconds since 1970."""
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).date().isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def seconds_of(value: Any) -> float | None:
    """Seconds, to a tenth."""
    try:
        return round(float(value), 1)
    except (TypeError, ValueError, OverflowError):
        return None
