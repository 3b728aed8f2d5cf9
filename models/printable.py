"""Paths and names as text that can be printed, drawn and encoded, whatever bytes a file system gave."""

from __future__ import annotations

import os
import unicodedata

# Control characters, halves of a surrogate pair, and line and paragraph separators.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# These reorder the text around a name (Unicode Standard Annex 9): `gpj.exe` can look like `exe.jpg`.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return `path` as valid Unicode in one line.

    A byte that is not UTF-8 becomes `\xe9`, a newline `\n`, and a character that reorders text `\u202e`.
    """
    text = os.fspath(path)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _is_escaped(character) else character for character in text)


def _is_escaped(character: str) -> bool:
    return unicodedata.category(character) in _ESCAPED_CATEGORIES or character in _BIDI_CONTROLS


def _escaped(character: str) -> str:
    code = ord(character)
    # Python reads a byte that is not UTF-8 as one of these (PEP 383).
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
