"""Parsing of a multipart/form-data body into its parts (RFC 7578, and RFC 2046, 5.1).

The proxy passes such a body on unchanged. TorchServe's own decoder drops data silently: a part that is cut short, and
all but the last of several parts with the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import Any

from handlers.errors import BadMultipart

MAX_PARTS = 200
# Python's parser takes time with the square of a header's length.
MAX_HEADER_BYTES = 1_000
_PLAIN = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body, or the whole of any other body (then its name is `body`).

    `content` is bytes; a server that decodes JSON and text by itself may hand over its result.

    Attributes:
        is_field: this is a text field of a form, by its headers: no file name, and no type but text/plain.
    """

    name: str
    content: Any
    content_type: str = ""
    is_field: bool = False


def parse(body: bytes, content_type: str) -> list[Part]:
    """Split a body at the boundary that its Content-Type names.

    A file input in which nothing was chosen is left out. Browsers send it as an empty file with an empty name.

    Raises:
        BadMultipart: the body is not multipart/form-data, or incomplete.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise BadMultipart(
            f"the content type is {content_type!r:.80}: it must be multipart/form-data; boundary=<boundary>"
        )
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    _, *sections = (b"\r\n" + body).split(delimiter, MAX_PARTS + 2)
    if len(sections) > MAX_PARTS + 1:  # the last one is the end
        raise BadMultipart(f"the multipart body has more than {MAX_PARTS:,} parts")
    if not sections:
        raise BadMultipart(f"the boundary {boundary!r:.80} of the header does not occur in the body")
    parts: list[Part] = []
    for number, section in enumerate(sections, start=1):
        if section.startswith(b"--"):
            return parts
        part = _part(section, number)
        if part is not None:
            parts.append(part)
    raise BadMultipart("the multipart body is cut short: its closing boundary is missing")


def _part(section: bytes, number: int) -> Part | None:
    # Behind the boundary there may be spaces, then the line ends.
    padding, newline, content = section.partition(b"\r\n")
    head, blank, content = (b"\r\n" + content).partition(b"\r\n\r\n")
    if padding.strip(b" \t") or not newline or not blank or len(head) > MAX_HEADER_BYTES:
        raise BadMultipart(
            f"part {number} has no headers that end in an empty line, or more than {MAX_HEADER_BYTES} bytes"
        )
    headers = HeaderParser().parsestr(head.lstrip(b"\r\n").decode("utf-8", "replace"))
    name = headers.get_param("name", header="content-disposition")
    if headers.get_content_disposition() != "form-data" or name is None:
        raise BadMultipart(f'part {number} has no header Content-Disposition: form-data; name="..."')
    encoding = str(headers.get("content-transfer-encoding", "")).strip().lower()
    kind = str(headers.get("content-type", ""))
    if encoding not in _PLAIN or kind.lower().startswith("multipart/"):
        raise BadMultipart(
            f"part {number} is encoded ({encoding or kind!r:.60}): send the bytes of the file as they are"
        )
    filename = headers.get_param("filename", header="content-disposition")
    if filename == "" and not content:
        return None
    is_field = filename is None and kind.partition(";")[0].strip().lower() in ("", "text/plain")
    text = collapse_rfc2231_value(name)  # name*=, of RFC 5987, comes in three parts
    return Part(text, content, kind, is_field)
