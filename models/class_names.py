"""Checks of class names: that they can be written anywhere, and that people can tell them apart.

Class names come from folders, tables and cards, and end in answers, headers, figures and logs. Two names that look
alike would be two classes of one thing, so they are refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from models.printable import printable

MAX_LENGTH = 255
# Problems that one message names.
_MAX_NAMED = 5
# Blank, though Unicode does not count them as spaces: Hangul fillers and the empty Braille cell.
_BLANKS = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u2800"), " ")
# Drawn as nothing, though not of category Cf: the combining grapheme joiner, Khmer's inherent vowels.
_INVISIBLE = frozenset("\u034f\u17b4\u17b5")
# Letters that fonts draw as the Latin letter below them (a part of Unicode Technical Standard 39's confusables).
_CYRILLIC_AND_GREEK = "АВЕЅІЈКМНОРСТУХаеѕіјорсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧο"
_LATIN = "ABESIJKMHOPCTYXaesijopcyxABEZHIKMNOPTYXo"
_HOMOGLYPHS = str.maketrans(_CYRILLIC_AND_GREEK, _LATIN)
# These change the direction of the text around a name; the marks U+200E and U+200F, which names may need, do not.
_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class ClassNameError(ValueError):
    """Class names that cannot be used; the message shows each with its escapes and says what to do."""


def check(names: Iterable[str]) -> None:
    """Check that each name can be written anywhere, and that people can tell all of them apart.

    Names that are equal count once. Look-alikes differ in upper and lower case, in how accents are composed (NFC and
    NFD), in width, in spaces, in invisible characters, or in letters of another alphabet.

    Raises:
        ClassNameError: naming at most five problems.
    """
    distinct = sorted(set(names))
    problems = [problem for name in distinct if (problem := _problem(name))] + _look_alikes(distinct)
    if problems:
        more = len(problems) - _MAX_NAMED
        raise ClassNameError("; ".join(problems[:_MAX_NAMED]) + (f"; and {more} more like these" if more > 0 else ""))


def shown(name: str) -> str:
    """Return a name for an error message, in quotes; letters outside ASCII follow as escapes, so that they are seen."""
    escaped = ascii(name)
    legible = f"'{printable(name)}'"
    return escaped if legible == escaped or name.isascii() else f"{legible} ({escaped})"


def skeletons(name: str) -> tuple[str, str]:
    """Return two visible forms of a name: unchanged, and with look-alike letters of other alphabets as Latin ones."""
    return _skeleton(name), _skeleton(unicodedata.normalize("NFKC", name).translate(_HOMOGLYPHS))


def _skeleton(name: str) -> str:
    text = unicodedata.normalize("NFKC", name.translate(_BLANKS))
    text = "".join(character for character in text if not _is_invisible(character))
    # Decompose after folding, because folding composes some letters again.
    text = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(text.split())


def _is_invisible(character: str) -> bool:
    variation = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return variation or character in _INVISIBLE or unicodedata.category(character) == "Cf"


def _problem(name: str) -> str | None:
    """Return the problem of a name, regardless of the other names; None if there is none."""
    if re.search("[\ud800-\udfff]", name):
        return f"class {name!a} is not valid UTF-8: rename it"
    if not _skeleton(name):
        return f"class {name!a} is empty or invisible: give it a name that can be seen"
    if name != name.strip():
        return f"class {name!a} begins or ends with a space: rename it to {name.strip()!a}"
    if len(name) > MAX_LENGTH:
        return f"class {ascii(name)[:60]}... has {len(name):,} characters: at most {MAX_LENGTH} are allowed"
    wrong = [c for c in name if unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in _DIRECTION_CONTROLS]
    if wrong:
        return f"class {name!a} has the control character {wrong[0]!a}: rename it"
    return None


def _look_alikes(names: Sequence[str]) -> list[str]:
    first: dict[tuple[int, str], str] = {}
    problems = []
    for name in names:
        keys = list(enumerate(skeletons(name)))
        other = next((first[key] for key in keys if key in first), None)
        if other is not None:
            problems.append(f"classes {shown(other)} and {shown(name)} look alike: give both one name, or rename one")
        for key in keys:
            first.setdefault(key, name)
    return problems
