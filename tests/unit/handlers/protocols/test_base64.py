from __future__ import annotations

import base64
from typing import Any

import pytest

from handlers.errors import BadJSON
from handlers.protocols import from_base64

CONTENT = bytes(range(256))
ENCODED = base64.b64encode(CONTENT).decode("ascii")


@pytest.mark.parametrize(
    "value",
    [
        ENCODED,
        f"data:image/png;base64,{ENCODED}",
        f"data:;base64,{ENCODED}",
        "\n".join(ENCODED[start : start + 76] for start in range(0, len(ENCODED), 76)),
        f"  {ENCODED}\r\n",
    ],
)
def test_base64_plain_wrapped_or_in_a_data_url_is_read(value: str) -> None:
    assert from_base64(value, "it") == CONTENT


def test_no_text_is_no_bytes() -> None:
    assert from_base64("", "it") == b""


@pytest.mark.parametrize(
    "value", ["no base64!", ENCODED[:-1], "ä" + ENCODED, "\ud800", "data:image/png", "a=b=", "/x.png"]
)
def test_invalid_base64_is_refused_with_its_first_characters(value: str) -> None:
    if value == "data:image/png":
        assert from_base64(value, "it") == b""  # a data URL without data: an empty image
        return
    with pytest.raises(BadJSON, match=r"^it is not base64 \(") as raised:
        from_base64(value, "it")
    assert str(raised.value).endswith(f"it begins with {value[:24]!r}")


@pytest.mark.parametrize(("value", "found"), [(None, "NoneType"), (5, "int"), ([], "list"), ({}, "dict")])
def test_non_string_image_is_refused_with_its_type(value: Any, found: str) -> None:
    with pytest.raises(BadJSON, match=f"^it is {found}: it must be a string, the base64 of an image file$"):
        from_base64(value, "it")
