"""Adapters that make a model's confidence better: graded data sets, recipes, training, serving."""

from pathlib import Path

_HERE = Path(__file__).parent


def shipped_folder(name: str) -> Path:
    """Return the folder of ``recipes`` or ``accelerate`` files.

    An installed package holds them; in a checkout they lie beside it, where users look for them.
    """
    installed = _HERE / name
    return installed if installed.is_dir() else _HERE.parent / name
