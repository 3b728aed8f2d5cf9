"""Labels beyond ASCII in headers, in each of the forms that clients can write."""

from __future__ import annotations

import pytest

from handlers import options
from handlers.errors import BadOption
from handlers.protocols import header_text
from handlers.protocols.headers import read_options


def raw(text: str, encoding: str) -> str:
    """Return the text that the server makes of bytes: a character for each."""
    return text.encode(encoding).decode("latin-1")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("cat", "cat"),
        ("UTF-8''gr%C3%BCn", "grün"),
        ("utf-8'de'gr%c3%bcn", "grün"),
        ("iso-8859-1''gr%FCn", "grün"),
        ("UTF-8''plain", "plain"),
        ("gr%C3%BCn", "grün"),
        ("%E6%97%A5%E6%9C%AC", "日本"),
        ("50%25", "50%"),
        ("50%", "50%"),
        ("100% sure", "100% sure"),
        ("it's", "it's"),
        (raw("grün", "utf-8"), "grün"),
        (raw("日本", "utf-8"), "日本"),
        (raw("grün", "latin-1"), "grün"),
        ("日本", "日本"),
    ],
)
def test_a_label_is_read_in_every_form(value: str, text: str) -> None:
    assert header_text.decode(value, "target") == text


@pytest.mark.parametrize("value", ["%FF", "gr%FCn", "UTF-8''gr%FCn", "%C3"])
def test_encoded_bytes_that_are_no_text_are_refused(value: str) -> None:
    with pytest.raises(BadOption, match=r"target is .* write a percent sign as %25"):
        header_text.decode(value, "target")


def given(**headers: str) -> dict[str, object]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return {name: value for name, value, _ in read_options(names, names.pop("route", ""))}


def test_both_labels_of_a_contrast_may_hold_an_encoded_comma() -> None:
    assert given(x_contrast="gr%C3%BCn%2C hell,rot") == {"contrast": ["grün, hell", "rot"]}
    assert given(x_contrast="UTF-8''gr%C3%BCn%2Crot") == {"contrast": "grün,rot"}
    assert given(x_contrast='["gr%C3%BCn", "rot"]') == {"contrast": '["grün", "rot"]'}
    parsed = options.parse(read_options({"x-contrast": "gr%C3%BCn%2C hell,rot"}), "explain")
    assert parsed.contrast == ("grün, hell", "rot")


def test_the_custom_attributes_are_read_alike() -> None:
    assert given(route="invocations", x_amzn_sagemaker_custom_attributes="target=gr%C3%BCn%3B;top_k=2") == {
        "target": "grün;",
        "top_k": "2",
    }


def test_every_option_header_is_read_alike() -> None:
    headers = {"x-explain-method": "UTF-8''ig", "x-top-k": "UTF-8''3", "x-target": "%38"}
    parsed = options.parse(read_options(headers), "explain")
    assert (parsed.method, parsed.top_k, parsed.target) == ("ig", 3, "8")
