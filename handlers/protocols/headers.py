"""Options in the query and the headers of a request, and on /invocations in SageMaker's custom attributes.

TorchServe drops the query of a POST, so the proxy sends it on in the header X-Torchlight-Query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from handlers.errors import BadOption
from handlers.options import OPTIONS, RawOption, check_switch
from handlers.protocols import header_text

QUERY_HEADER = "x-torchlight-query"
# SageMaker passes these on to the container as they were sent; here `top_k=3;explain=true`.
ATTRIBUTES_HEADER = "x-amzn-sagemaker-custom-attributes"
_HEADERS = tuple((option.name, option.header.lower()) for option in OPTIONS)


def read_options(headers: Mapping[str, str], route: str = "") -> list[RawOption]:
    """Return the options in query and headers. Header names must be in lower case.

    Raises:
        BadOption: the query has far more parameters than there are options.
    """
    raw_options: list[RawOption] = []
    try:
        text = headers.get(QUERY_HEADER, "")
        query = parse_qsl(text, keep_blank_values=True, max_num_fields=100) if text else []
    except ValueError as error:
        raise BadOption(f"the query cannot be taken apart ({error}): options are name=value, joined by &") from None
    for name, value in query:
        if not (route == "invocations" and name == "model_name"):  # chooses the model, as in TorchServe
            raw_options.append((name, value, "query"))
    if route == "invocations":
        raw_options += _attributes(headers.get(ATTRIBUTES_HEADER, ""))
    raw_options += [(name, _value(headers[header], name), "header") for name, header in _HEADERS if header in headers]
    return raw_options


def _attributes(text: str) -> list[RawOption]:
    raw_options: list[RawOption] = []
    for pair in filter(None, re.split(r"[;&,]\s*", text.strip())):
        name, _, value = (part.strip() for part in pair.partition("="))
        if name != "explain":
            raw_options.append((name, header_text.decode(value, name), "custom attributes"))
        else:  # the proxy has chosen the kind of request by it, if it could read the value
            check_switch("explain", value)
    return raw_options


def _value(value: str, name: str) -> Any:
    """Return a header's value as text. A contrast gives two texts, and each may contain an encoded comma."""
    labels = value.split(",")
    if name == "contrast" and len(labels) == 2 and not header_text.is_extended(value) and value.strip()[:1] != "[":
        return [header_text.decode(label, name).strip() for label in labels]
    return header_text.decode(value, name)
