"""axe-core, from npm: what a screen reader would stumble over on a page."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

VERSION = "4.14.1"
_SECONDS = 300


def axe_script() -> tuple[str, str]:
    """The text of axe.min.js, and "" or why there is none.

    The package is installed once, in the folder for temporary files.
    """
    folder = Path(tempfile.gettempdir(), f"calibench-axe-core-{VERSION}")
    file = folder / "node_modules/axe-core/axe.min.js"
    if not file.is_file():
        npm = shutil.which("npm")
        if npm is None:
            return "", "needs npm, for axe-core"
        folder.mkdir(exist_ok=True)
        command = [npm, "install", "--prefix", str(folder), f"axe-core@{VERSION}"]
        command += ["--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
        except (subprocess.SubprocessError, OSError) as error:
            return "", f"npm could not install axe-core: {error}"
    return file.read_text("utf-8"), ""


def violations(browser: Any, script: str) -> list[str]:
    """Every rule of axe-core that the page breaks, with the element that does."""
    if not browser.run("typeof axe === 'object'"):
        browser.send("Runtime.evaluate", expression=script)
    found = browser.run(
        # A page that was opened from a file may not fetch its style sheet again.
        "axe.run(document, {resultTypes: ['violations'], preload: false})"
        ".then((result) => result.violations"
        ".flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 200)} "
        "${node.any.concat(node.all).map((check) => check.message).join('; ')}`)))"
    )
    return list(found)
