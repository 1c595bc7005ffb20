"""Cases of the commands that fetch, list and copy: model, recipes, and those without a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from audit.damage import MISSING, VALUES, to_json
from audit.suites import Suite
from audit.trial import Case
from harness_tasks.embedded_models import DEFAULT, MODELS

# Where pip finds nothing, at once.
_NOWHERE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0",
    "PIP_TIMEOUT": "1", "PIP_NO_CACHE_DIR": "1", "PIP_CONFIG_FILE": "/dev/null",
    "PIP_FIND_LINKS": "",
}  # fmt: skip


def model(root: Path) -> Iterator[Case]:
    """`calibench model` with wrong names, and caches that hold or are something else."""
    place = f"cache/{MODELS[DEFAULT].folder}"
    manifest = {"model.safetensors": {"bytes": 3, "sha256": "0" * 64, "mtime_ns": 1}}
    files = {
        f"{place}/manifest.json": json.dumps(manifest).encode(),
        f"{place}/model.safetensors": b"abc",
    }
    suite = Suite("model", root, files, ["model"])

    def case(what: str, *words: str, cache: str = "cache", must: str = "refused", **given) -> Case:
        environment = {**_NOWHERE, "CALIBENCH_CACHE": cache}
        made = suite.case(what, must, arguments=["model", *words], environment=environment, **given)
        return suite.write(made)

    for name in ("nothing", "", "../x", "/etc", "SmolLM2", "a\nb", "x" * 5000, "\udcff"):
        yield case(f"name {name[:20]!r}", name)
    for option in ("--unknown", "--list=x"):
        yield case(option, option)
    yield case("a wrong hash and no network")
    yield case("--list", "--list", must="any")
    for cache in (f"{place}/manifest.json", "/dev/null", "/proc/x", "/dev/null/x", "x" * 300):
        yield case(f"cache {cache[:30]}", cache=cache)
        yield case(f"--list, cache {cache[:30]}", "--list", cache=cache, must="any")
    closed = case("a cache that is not to be written to", cache="closed/x", unprivileged=True)
    (closed.folder / "closed").mkdir(mode=0o555)
    yield closed
    for key in ("bytes", "sha256", "mtime_ns", None):  # without --list, each would call pip
        for name, value in VALUES.items():
            record = {**manifest["model.safetensors"], key: value}
            content = value if key is None else {"model.safetensors": record}
            if value is not MISSING:
                made = case(f"manifest, {key}: {name}", "--list", must="any")
                (made.folder / place / "manifest.json").write_text(to_json(content))
                yield made


def others(root: Path) -> Iterator[Case]:
    """`calibench recipes`, `tasks` and `hardware`."""
    suite = Suite("recipes", root, {"r.yaml": b"method: nothing\n"}, ["recipes", "ls"])
    yield from suite.valid()
    known = "calibration_tuning_quick"
    for words in (
        ["recipes", "ls", "x"], ["recipes"], ["recipes", "cat"], ["recipes", "cat", "nothing"],
        ["recipes", "cat", ""], ["recipes", "cat", "."], ["recipes", "cat", "/dev/null/x"],
        ["recipes", "cat", "../../x"], ["recipes", "cat", "x" * 5000],
        ["recipes", "cp", known], ["recipes", "cp", known, ""], ["recipes", "cp", known, "r.yaml"],
        ["recipes", "cp", known, "no/such/folder/r.yaml"], ["recipes", "cp", known, "r.yaml/x"],
        ["recipes", "cp", known, "/dev/null"], ["recipes", "cp", "nothing", "n.yaml"],
        ["recipes", "cp", known, "x" * 300], ["tasks", "x"], ["hardware", "x"], ["nothing"],
        ["hardware", "--unknown"], [""],
    ):  # fmt: skip
        shown = " ".join(word[:40] for word in words)
        yield suite.write(suite.case(shown, "refused", arguments=words))
