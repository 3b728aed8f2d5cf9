"""Text beyond ASCII in a header's value, for which HTTP defines no encoding (RFC 9110, 5.5).

Three forms are read: an ext-value (`UTF-8''gr%C3%BCn`, RFC 8187), percent-encoded UTF-8 (`gr%C3%BCn`), and the bytes
themselves, in UTF-8 as curl sends them or in Latin-1 as browsers do.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from handlers.errors import BadOption

_EXTENDED = re.compile(
    r"\s*(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})*)\s*", re.IGNORECASE
)
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")


def is_extended(value: str) -> bool:
    """Return whether a header's value is an ext-value."""
    return _EXTENDED.fullmatch(value) is not None


def decode(value: str, name: str) -> str:
    """Return the text of a header's value. A percent sign before two hexadecimal digits has to be written %25.

    Args:
        value: the bytes as the server decodes them: as Latin-1, one character for each.
        name: the option, for the error.

    Raises:
        BadOption: the encoded bytes are not text.
    """
    extended = _EXTENDED.fullmatch(value)
    charset, encoded = (extended[1], extended[2]) if extended else ("utf-8", value)
    if extended or _ENCODED.search(value):
        try:
            return unquote_to_bytes(encoded).decode(charset)
        except UnicodeDecodeError:
            raise BadOption(
                f"{name} is {value!r:.60} in a header, where % begins an encoded byte: these bytes are not "
                f"{charset.upper()}; write a percent sign as %25"
            ) from None
    if not value.isascii():
        try:
            return value.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return value
    return value
