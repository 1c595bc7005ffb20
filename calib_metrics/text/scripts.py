"""Which script a text is in, since it decides what a word is."""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Literal

Script = Literal["latin", "chinese", "japanese", "unspaced", "other"]

_EAST = ("CJK", "KANGXI")
_KANA = ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH")
_UNSPACED = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE")
_SOME_KANA = 0.05  # of the letters of a Japanese text; Chinese has none


def script_of(texts: Iterable[str]) -> Script:
    """Return the script of most of the letters of the texts; "latin" if there is no letter.

    "chinese": Chinese characters, hardly any kana. "japanese": both. "unspaced": Thai, Lao, Khmer,
    Burmese, Tibetan or Javanese, which put no spaces between words. "other": any other.
    """
    counts = Counter(_family(letter) for text in texts for letter in text if letter.isalpha())
    half = counts.total() / 2
    east = counts["east"] + counts["kana"]
    if east > half:
        return "japanese" if counts["kana"] >= _SOME_KANA * east else "chinese"
    if counts["unspaced"] > half:
        return "unspaced"
    return "latin" if counts["latin"] >= half else "other"


def words(text: str) -> list[str]:
    """Return the words of a text in any script, in lower case: runs of letters, marks and digits.

    Where a script has no spaces, every letter, with its marks, is a word.
    """
    found: list[str] = []
    open_ended = False  # whether the next letter belongs to the last word
    for letter in text.lower():
        kind = unicodedata.category(letter)[0]
        if kind == "M" and found:
            found[-1] += letter
        elif kind not in "LMN":
            open_ended = False
        elif kind == "L" and _family(letter) in ("east", "kana", "unspaced"):
            found.append(letter)
            open_ended = False
        elif open_ended:
            found[-1] += letter
        else:
            found.append(letter)
            open_ended = True
    return found


@functools.lru_cache(maxsize=1 << 14)
def _family(letter: str) -> str:
    name = unicodedata.name(letter, "").partition(" ")[0]
    families = {"east": _EAST, "kana": _KANA, "unspaced": _UNSPACED, "latin": ("LATIN",)}
    return next((family for family, names in families.items() if name in names), "other")
