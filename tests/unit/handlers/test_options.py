from __future__ import annotations

from typing import Any

import pytest

from handlers import options
from handlers.errors import BadOption, UnknownOption
from handlers.explain import DEFAULT_METHOD
from handlers.options import Options


def test_nothing_asked_for_gives_the_defaults() -> None:
    assert options.parse([], "predict") == Options(top_k=5, method="ig", target=None)
    assert options.parse([], "explain") == Options(top_k=5, method="ig", target=None)
    assert Options().method == DEFAULT_METHOD


def test_the_query_gives_options() -> None:
    given = options.from_headers({"x-torchlight-query": "top_k=3&method=ig&target=a%20b+c%26d"})
    assert given == [("top_k", "3", "query"), ("method", "ig", "query"), ("target", "a b c&d", "query")]


def test_headers_give_options() -> None:
    given = options.from_headers({"x-top-k": "2", "x-explain-method": "ig", "x-target": "8", "host": "example.org"})
    assert given == [("top_k", "2", "header"), ("method", "ig", "header"), ("target", "8", "header")]
    assert options.parse(given, "explain") == Options(top_k=2, method="ig", target="8")


def test_the_docstring_lists_every_option_with_its_header() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in str(options.__doc__).splitlines() if "|" in line
    ]
    assert {row[0]: row[1].lower() for row in rows[2:]} == options._HEADERS
    assert tuple(row[0] for row in rows[2:] if row[2] == "yes") == options._PREDICT


def test_the_same_value_twice_is_no_contradiction() -> None:
    assert (
        options.parse([("top_k", "3", "query"), ("top_k", " 3 ", "header"), ("top_k", 3, "JSON")], "predict").top_k == 3
    )


@pytest.mark.parametrize(
    "given",
    [
        [("top_k", "3", "query"), ("top_k", "4", "query")],
        [("top_k", "3", "query"), ("top_k", "4", "header")],
        [("top_k", "3", "header"), ("top_k", 4, "JSON")],
    ],
)
def test_two_values_for_one_option_are_refused_with_both(given: list[options.Given]) -> None:
    with pytest.raises(BadOption, match="'top_k' is given as '3' and as '4': give it once"):
        options.parse(given, "predict")


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownOption, match=r"unknown option 'topk' \(query\): predict has top_k$"):
        options.parse([("topk", "3", "query")], "predict")
    with pytest.raises(UnknownOption, match=r"unknown option 'x' \(JSON\): explain has top_k, method, target$"):
        options.parse([("x", 1, "JSON")], "explain")


@pytest.mark.parametrize(("name", "value"), [("method", "ig"), ("target", "8")])
def test_a_prediction_has_no_options_of_explanations(name: str, value: str) -> None:
    with pytest.raises(UnknownOption, match=f"unknown option '{name}'"):
        options.parse([(name, value, "query")], "predict")


def test_an_absurdly_long_name_is_not_repeated_in_full() -> None:
    with pytest.raises(UnknownOption) as raised:
        options.parse([("x" * 10_000, "1", "query")], "predict")
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize(("value", "top_k"), [("1", 1), ("007", 7), ("999999", 999_999), (10, 10), (" 2 ", 2)])
def test_top_k_is_a_whole_number(value: Any, top_k: int) -> None:
    assert options.parse([("top_k", value, "query")], "predict").top_k == top_k


@pytest.mark.parametrize(
    "value", ["", "0", "00", "-1", "+1", "1.5", "1e3", "three", "٣", "²", "1000000", "9" * 5000, True, None, 2.0, [3]]
)
def test_top_k_cannot_be_anything_else(value: Any) -> None:
    with pytest.raises(BadOption, match=r"top_k is .* it must be a whole number of 1 or more") as raised:
        options.parse([("top_k", value, "query")], "predict")
    assert len(str(raised.value)) < 130
