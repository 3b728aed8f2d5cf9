"""The fields of a form, as browsers send them beside its files (HTML Standard, 4.10.21.8; RFC 7578).

A form has more than options and images: a named submit button, hidden fields of a framework, inputs left blank.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from email.message import Message

from handlers import options, table
from handlers.errors import UnknownOption
from handlers.multipart import Part
from handlers.options import FALSE, TRUE, Given

# Of a hidden field with this name a browser fills in how it encoded the others.
CHARSET_FIELD = "_charset_"
# What text may be encoded in; Python has more, some of which cost time or are not of characters.
_CHARSETS = ("utf-8", "us-ascii", "shift_jis", "euc-jp", "euc-kr", "gbk", "gb18030", "big5", "koi8-r", "koi8-u")
_CHARSET_FAMILIES = ("iso-8859-", "windows-")
_SWITCHES = {option.name for option in table.TABLE if option.schema["type"] == "boolean"}
# How alike an unknown field and an option are when the one is taken for the other, misspelt (difflib's ratio).
_ALIKE = 0.8


def charset(parts: Iterable[Part]) -> str:
    """Return how the fields of a form are encoded: what its field `_charset_` says, else UTF-8."""
    for part in parts:
        if part.name == CHARSET_FIELD and part.is_field:
            return _supported(bytes(part.content).decode("latin-1"))
    return "utf-8"


def text(part: Part, encoding: str = "utf-8") -> str | None:
    """Return the text of a part, or None where its bytes are no text, such as an image's."""
    if not isinstance(part.content, bytes | bytearray):
        return str(part.content)
    header = Message()
    header["content-type"] = part.content_type or "text/plain"
    own = header.get_param("charset")
    try:
        decoded = bytes(part.content).decode(_supported(own) if isinstance(own, str) else encoding)
    except (UnicodeDecodeError, LookupError):
        return None
    return decoded if all(letter.isprintable() or letter.isspace() for letter in decoded) else None


def _supported(name: str) -> str:
    lower = name.strip().lower()
    return lower if lower in _CHARSETS or lower.startswith(_CHARSET_FAMILIES) else "utf-8"


def check_name(name: str, kind: str) -> None:
    """Let a field pass that is no option, unless it is nearly one: it is not for us, or it is misspelt.

    Names that begin with `_` are those of frameworks, such as `_method`.

    Raises:
        UnknownOption: it looks like an option.
    """
    alike = difflib.get_close_matches(name.lower()[:40], table.NAMES, 1, _ALIKE)
    if alike and not name.startswith("_"):
        names = ", ".join(options.accepted(kind))
        raise UnknownOption(f"unknown option {name[:40]!r} (multipart); did you mean {alike[0]}? {kind} has {names}")


def filled_options(fields: Iterable[tuple[str, object]]) -> list[Given]:
    """Return the options among the fields of a form, without those left blank.

    A checkbox sends nothing while it is off, so forms put a hidden field `0` of the same name beside it: on wins.
    """
    filled = [(name, value) for name, value in fields if not (isinstance(value, str) and not value.strip())]
    words = [(name, str(value).strip().lower()) for name, value in filled]
    on = {name for name, word in words if name in _SWITCHES and word in TRUE}
    return [
        (name, value, "multipart")
        for (name, value), (_, word) in zip(filled, words, strict=True)
        if not (name in on and word in FALSE)
    ]
