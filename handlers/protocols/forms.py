"""The fields of a form, as browsers send them beside its files (HTML Standard, 4.10.21.8; RFC 7578).

A form has more than options and images: a named submit button, hidden fields of a framework, inputs left blank.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from email.message import Message

from handlers import options
from handlers.errors import UnknownOption
from handlers.options import FALSE, OPTIONS, TRUE, RawOption
from handlers.protocols.multipart import Part

# A browser fills in a hidden field of this name with the encoding of the other fields.
CHARSET_FIELD = "_charset_"
# Encodings of text. Python has more, some of which cost time or do not encode characters.
_CHARSETS = ("utf-8", "us-ascii", "shift_jis", "euc-jp", "euc-kr", "gbk", "gb18030", "big5", "koi8-r", "koi8-u")
_CHARSET_FAMILIES = ("iso-8859-", "windows-")
_SWITCHES = {option.name for option in OPTIONS if option.schema["type"] == "boolean"}
# From this similarity on (difflib's ratio), an unknown field counts as a misspelt option.
_MIN_SIMILARITY = 0.8


def charset(parts: Iterable[Part]) -> str:
    """Return the encoding of a form's fields: the value of its field `_charset_`, else UTF-8."""
    for part in parts:
        if part.name == CHARSET_FIELD and part.is_field:
            return _supported(bytes(part.content).decode("latin-1"))
    return "utf-8"


def text(part: Part, encoding: str = "utf-8") -> str | None:
    """Return the text of a part, or None if its bytes are not text, such as an image's."""
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
    """Let a field pass that is not an option, unless its name is nearly an option's: then it is misspelt.

    Names that begin with `_` are those of frameworks, such as `_method`.

    Raises:
        UnknownOption: the name looks like an option's.
    """
    similar = difflib.get_close_matches(name.lower()[:40], options.NAMES, 1, _MIN_SIMILARITY)
    if similar and not name.startswith("_"):
        names = ", ".join(options.accepted(kind))
        raise UnknownOption(f"unknown option {name[:40]!r} (multipart); did you mean {similar[0]}? {kind} has {names}")


def filled_options(fields: Iterable[tuple[str, object]]) -> list[RawOption]:
    """Return the options among the fields of a form, without those left blank.

    A checkbox sends nothing while it is off. So forms put a hidden field `0` of the same name beside it, and on wins.
    """
    filled = [(name, value) for name, value in fields if not (isinstance(value, str) and not value.strip())]
    words = [(name, str(value).strip().lower()) for name, value in filled]
    switched_on = {name for name, word in words if name in _SWITCHES and word in TRUE}
    return [
        (name, value, "multipart")
        for (name, value), (_, word) in zip(filled, words, strict=True)
        if not (name in switched_on and word in FALSE)
    ]
