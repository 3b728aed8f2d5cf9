from __future__ import annotations

from typing import Any

import pytest

from handlers import options
from handlers.errors import BadOption, UnknownOption
from handlers.options import OPTIONS, ExplainOptions, Option, PredictOptions, RawOption
from handlers.protocols.headers import read_options


def test_missing_options_get_their_defaults() -> None:
    assert options.parse([], "predict") == PredictOptions(top_k=5)
    assert options.parse([], "explain") == ExplainOptions(top_k=5, method=None, target=None)
    assert ExplainOptions().neighbors == 3


def test_the_query_gives_options() -> None:
    given = read_options({"x-torchlight-query": "top_k=3&method=ig&target=a%20b+c%26d"})
    assert given == [("top_k", "3", "query"), ("method", "ig", "query"), ("target", "a b c&d", "query")]


def test_headers_give_options() -> None:
    given = read_options({"x-top-k": "2", "x-explain-method": "ig", "x-target": "8", "host": "example.org"})
    assert given == [("top_k", "2", "header"), ("method", "ig", "header"), ("target", "8", "header")]
    assert options.parse(given, "explain") == ExplainOptions(top_k=2, method="ig", target="8")


def test_every_option_has_its_header() -> None:
    assert {option.name: (option.header, option.explain_only) for option in OPTIONS} == {
        "top_k": ("X-Top-K", False),
        "timing": ("X-Timing", False),
        "method": ("X-Explain-Method", True),
        "target": ("X-Target", True),
        "contrast": ("X-Contrast", True),
        "steps": ("X-Explain-Steps", True),
        "baseline": ("X-Explain-Baseline", True),
        "smoothgrad_samples": ("X-Explain-Smoothgrad-Samples", True),
        "deadline_ms": ("X-Explain-Deadline", True),
        "faithfulness": ("X-Explain-Faithfulness", True),
        "counterfactual": ("X-Explain-Counterfactual", True),
        "neighbors": ("X-Explain-Neighbors", True),
        "output": ("X-Explain-Output", True),
        "sign": ("X-Explain-Sign", True),
        "alpha": ("X-Explain-Alpha", True),
        "colormap": ("X-Explain-Colormap", True),
        "resolution": ("X-Explain-Resolution", True),
    }
    assert list(ExplainOptions.model_fields) == list(options.NAMES)
    assert options.accepted("predict") == ("top_k", "timing")
    assert options.accepted("explain") == options.NAMES


@pytest.mark.parametrize("option", OPTIONS, ids=options.NAMES)
def test_schemas_have_the_defaults_of_the_models(option: Option) -> None:
    assert option.schema.get("default") == getattr(ExplainOptions(), option.name)


@pytest.mark.parametrize("option", OPTIONS, ids=options.NAMES)
def test_every_option_is_read_from_its_header(option: Option) -> None:
    assert read_options({option.header.lower(): "x"}) == [(option.name, "x", "header")]


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
def test_two_values_for_one_option_are_refused_with_both(given: list[RawOption]) -> None:
    with pytest.raises(BadOption, match="'top_k' is given as '3' and as '4': give it once"):
        options.parse(given, "predict")


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownOption, match=r"unknown option 'topk' \(query\): predict has top_k, timing$"):
        options.parse([("topk", "3", "query")], "predict")
    with pytest.raises(
        UnknownOption, match=r"unknown option 'x' \(JSON\): explain has top_k, timing, method, target, contrast"
    ):
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
    "value", ["", "0", "00", "-1", "+1", "1.5", "1e3", "three", "٣", "²", "1000000", "9" * 5000, True, 2.0]
)
def test_top_k_cannot_be_anything_else(value: Any) -> None:
    with pytest.raises(BadOption, match=r"top_k is .* it must be a whole number from 1 to 999999") as raised:
        options.parse([("top_k", value, "query")], "predict")
    assert len(str(raised.value)) < 130


@pytest.mark.parametrize("name", options.NAMES)
@pytest.mark.parametrize(("value", "found"), [(None, "NoneType"), ([[3]], "list"), ({"a": 1}, "dict")])
def test_an_option_is_one_value(name: str, value: Any, found: str) -> None:
    with pytest.raises(BadOption, match=rf"^option '{name}' is of type {found} \(JSON\): give one value$"):
        options.parse([(name, value, "JSON")], "explain")


@pytest.mark.parametrize("name", [name for name in options.NAMES if name != "contrast"])
def test_no_option_but_the_contrast_is_a_list(name: str) -> None:
    with pytest.raises(BadOption, match=rf"^option '{name}' is of type list \(JSON\): give one value$"):
        options.parse([(name, [3], "JSON")], "explain")


@pytest.mark.parametrize(
    ("value", "timing"),
    [("true", True), ("True", True), ("1", True), (True, True), (1, True), ("false", False), ("0", False), (0, False)],
)
def test_timing_is_true_or_false(value: Any, timing: bool) -> None:
    assert options.parse([("timing", value, "query")], "predict").timing is timing


@pytest.mark.parametrize("value", ["", "yes", "2", 1.0, "tru"])
def test_timing_cannot_be_anything_else(value: Any) -> None:
    with pytest.raises(BadOption, match=r"^timing is .* it must be true or false$"):
        options.parse([("timing", value, "query")], "predict")


def test_a_query_with_far_more_parameters_than_options_is_refused() -> None:
    query = "&".join(f"a{number}=1" for number in range(101))
    with pytest.raises(BadOption, match="the query cannot be taken apart"):
        read_options({"x-torchlight-query": query})


def test_on_invocations_the_name_of_the_model_is_no_option() -> None:
    headers = {"x-torchlight-query": "model_name=digits&top_k=2"}
    assert read_options(headers, "invocations") == [("top_k", "2", "query")]
    with pytest.raises(UnknownOption, match="unknown option 'model_name'"):
        options.parse(read_options(headers), "predict")


@pytest.mark.parametrize("text", ["top_k=3;explain=true", "explain=true; top_k=3", "top_k=3&explain=1", "top_k=3, "])
def test_sagemakers_custom_attributes_are_options_on_invocations_alone(text: str) -> None:
    headers = {"x-amzn-sagemaker-custom-attributes": text}
    assert read_options(headers, "invocations") == [("top_k", "3", "custom attributes")]
    assert read_options(headers) == []


def test_an_attribute_that_is_no_option_is_refused_with_where_it_stood() -> None:
    given = read_options({"x-amzn-sagemaker-custom-attributes": "trace"}, "invocations")
    with pytest.raises(UnknownOption, match=r"unknown option 'trace' \(custom attributes\)"):
        options.parse(given, "predict")


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("contrast", "cat,dog", ("cat", "dog")),
        ("contrast", " cat , 3 ", ("cat", "3")),
        ("contrast", '["a, b", "c"]', ("a, b", "c")),
        ("contrast", ["a, b", 3], ("a, b", "3")),
        ("alpha", "0.5", 0.5),
        ("alpha", 1, 1.0),
        ("alpha", "0.", 0.0),
        ("baseline", "noise", "noise"),
        ("faithfulness", True, True),
        ("neighbors", "0", 0),
    ],
)
def test_explain_options_are_read(name: str, value: Any, found: Any) -> None:
    assert getattr(options.parse([(name, value, "JSON")], "explain"), name) == found


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("output", "jpeg", "output 'jpeg' does not exist: there is json, overlay, heatmap, npy"),
        ("sign", "negative", "sign 'negative' does not exist: there is both, positive"),
        ("resolution", "large", "resolution 'large' does not exist: there is original, model"),
        ("steps", 0, "steps is '0': it must be a whole number from 1 to 2000"),
        ("steps", "10000", "steps is '10000': it must be a whole number from 1 to 2000"),
        ("deadline_ms", "0", "deadline_ms is '0': it must be a whole number from 1 to 600000"),
        ("deadline_ms", 1.5, "deadline_ms is '1.5': it must be a whole number"),
        ("alpha", "1.01", "alpha is '1.01': it must be a number from 0 to 1"),
        ("alpha", "nan", "alpha is 'nan': it must be a number from 0 to 1"),
        ("alpha", "-0", "alpha is '-0': it must be a number from 0 to 1"),
        ("smoothgrad_samples", "51", "smoothgrad_samples is '51': it must be a whole number from 0 to 50"),
        ("neighbors", "21", "neighbors is '21': it must be a whole number from 0 to 20"),
        ("counterfactual", "perhaps", "counterfactual is 'perhaps': it must be true or false"),
        ("contrast", "cat", "contrast is 'cat': it must be two classes, as A,B or"),
        ("contrast", "a,b,c", "contrast is 'a,b,c': it must be two classes"),
        ("contrast", '["a"', "it must be two classes"),
        ("contrast", "[[1],2]", "it must be two classes"),
        ("contrast", [1], "it must be two classes"),
    ],
)
def test_invalid_explain_options_are_refused(name: str, value: Any, says: str) -> None:
    with pytest.raises(BadOption) as raised:
        options.parse([(name, value, "JSON")], "explain")
    assert says in str(raised.value)
