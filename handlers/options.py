"""The options of a request, as pydantic models: bounds, defaults and descriptions.

deploy/openapi.json is made from their JSON schema, and docs/reference/http.md is compared with it. An option may come
in several places: query, header, multipart field, JSON member. handlers/protocols/ collects them, and `parse` checks
them here.

Which methods, baselines and colormaps exist is known to handlers/explain alone, which checks these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from handlers.errors import BadOption, UnknownOption

RawOption = tuple[str, Any, str]  # name, value, and where it stood
TRUE, FALSE = ("true", "1", "on"), ("false", "0", "off")  # a form's checkbox sends `on`


# ---- from the text of a query, header or form to a value


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{0,9})?", text, re.ASCII):
        raise ValueError
    return float(text)


def _switch(text: str) -> bool:
    if text.lower() not in (*TRUE, *FALSE):
        raise ValueError
    return text.lower() in TRUE


def _pair(text: str) -> tuple[str, str]:
    """Parse `A,B`, or a JSON list if a value has a comma in it."""
    parts = orjson.loads(text) if text.startswith("[") else text.split(",")
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str | int) for part in parts):
        raise ValueError
    first, second = (str(part).strip() for part in parts)
    return first, second


def _of_text(convert: Callable[[str], Any]) -> BeforeValidator:
    """Return a validator that converts text, and leaves values of another type to pydantic."""
    return BeforeValidator(lambda value: convert(value) if isinstance(value, str) else value)


# After the bounds of an annotation, which then hold for the converted value.
AS_WHOLE_NUMBER, AS_NUMBER = _of_text(_whole_number), _of_text(_number)
Switch = Annotated[bool, _of_text(_switch)]
_CLASS = {"type": ["string", "integer"]}
ClassName = Annotated[str, WithJsonSchema(_CLASS)]
ClassPair = Annotated[
    tuple[str, str],
    _of_text(_pair),
    WithJsonSchema({"type": "array", "items": _CLASS, "minItems": 2, "maxItems": 2}),
]
Output = Literal["json", "overlay", "heatmap", "npy"]


def _option(header: str, default: Any, description: str) -> Any:
    """Return the field of an option that may also come as this header."""
    return Field(default, description=description, json_schema_extra={"header": header})


class PredictOptions(BaseModel):
    """The options of a prediction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top_k: Annotated[int, Field(ge=1, le=999_999), AS_WHOLE_NUMBER] = _option(
        "X-Top-K",
        5,
        "Number of classes to list, most probable first. The default is 5.",
    )
    timing: Switch = _option(
        "X-Timing",
        False,
        "With true, the response header Server-Timing has the milliseconds of each stage. The default is false.",
    )


class ExplainOptions(PredictOptions):
    """The options of an explanation. None means that the request does not set the option.

    `target` and `contrast` are labels or indices, unchanged from the request.
    """

    method: str | None = _option(
        "X-Explain-Method",
        None,
        "Attribution method. The default is the method that the model's card names. With a deadline, it is the most "
        "faithful method that fits into the time.",
    )
    target: ClassName | None = _option(
        "X-Target",
        None,
        "Class to explain, by its label or its index. A label has priority over an index. The default is the "
        "predicted class.",
    )
    contrast: ClassPair | None = _option(
        "X-Contrast",
        None,
        "Two classes A and B. The explanation shows evidence for A and against B. In JSON this is a list, and "
        "elsewhere the text `A,B`.",
    )
    steps: Annotated[int, Field(ge=1, le=2000), AS_WHOLE_NUMBER] | None = _option(
        "X-Explain-Steps",
        None,
        "Number of steps or samples of the attribution method. Each method has its own bounds and its own default.",
    )
    baseline: str | None = _option(
        "X-Explain-Baseline",
        None,
        "Image that the attribution method compares with. Only some methods use a baseline. Each of these has its "
        "own default.",
    )
    smoothgrad_samples: Annotated[int, Field(ge=0, le=50), AS_WHOLE_NUMBER] = _option(
        "X-Explain-Smoothgrad-Samples",
        0,
        "Number of noisy copies of the image whose attributions are averaged (SmoothGrad). Only gradient methods "
        "support it. The default is 0.",
    )
    deadline_ms: Annotated[int, Field(ge=1, le=600_000), AS_WHOLE_NUMBER] | None = _option(
        "X-Explain-Deadline",
        None,
        "Milliseconds until the response is needed, counted from the arrival at the proxy. An explanation that is "
        "late is answered 504 DeadlineExceeded.",
    )
    faithfulness: Switch = _option(
        "X-Explain-Faithfulness",
        False,
        "With true, the response says how faithful the map is, compared with a random map and a map of the center. "
        "This costs 129 passes. The default is false.",
    )
    counterfactual: Switch = _option(
        "X-Explain-Counterfactual",
        False,
        "With true, the response has a few patches that change the predicted class when they are blurred. This "
        "costs about 100 passes. The default is false.",
    )
    neighbors: Annotated[int, Field(ge=0, le=20), AS_WHOLE_NUMBER] = _option(
        "X-Explain-Neighbors",
        3,
        "Number of nearest training images in the response. Archives without training images return none. The "
        "default is 3.",
    )
    output: Output | None = _option(
        "X-Explain-Output",
        None,
        "Content of the response: `json`, or only the overlay, the heat map or the array. The default follows the "
        "Accept header, and is `json` without it.",
    )
    sign: Literal["both", "positive"] = _option(
        "X-Explain-Sign",
        "both",
        "Evidence in the overlay: `both` shows evidence for and against the class, `positive` only evidence for it. "
        "The default is both.",
    )
    alpha: Annotated[float, Field(ge=0, le=1), AS_NUMBER] | None = _option(
        "X-Explain-Alpha",
        None,
        "Opacity of the strongest evidence in the overlay, from 0 to 1. The default is 0.85.",
    )
    colormap: str | None = _option(
        "X-Explain-Colormap",
        None,
        "Colors of the evidence in the overlay. All of them are readable with color blindness. The default is rdbu.",
    )
    resolution: Literal["original", "model"] = _option(
        "X-Explain-Resolution",
        "original",
        "Resolution of the overlay. `original` has the size of the image that was sent, and a legend. `model` has "
        "the size of the network's input. The default is original.",
    )


MODELS: dict[str, type[PredictOptions]] = {"predict": PredictOptions, "explain": ExplainOptions}
_DEFAULTS = {kind: model() for kind, model in MODELS.items()}


# ---- options from the models


@dataclass(frozen=True, slots=True)
class Option:
    """One option, for documents and error messages. `schema` is JSON Schema; predictions lack `explain_only` ones."""

    name: str
    header: str
    schema: dict[str, Any]
    description: str
    explain_only: bool

    def requirement(self, value: str) -> str:
        """Return the error message for a wrong value: the option, the value, and what is allowed."""
        if "enum" in self.schema:
            return f"{self.name} {value!r:.60} does not exist: there is {', '.join(self.schema['enum'])}"
        match self.schema["type"]:
            case "integer":
                allowed = f"a whole number from {self.schema['minimum']} to {self.schema['maximum']}"
            case "number":
                allowed = f"a number from {self.schema['minimum']} to {self.schema['maximum']}"
            case "array":
                allowed = 'two classes, as A,B or ["A", "B"]'
            case _:
                allowed = "true or false"
        return f"{self.name} is {value!r:.60}: it must be {allowed}"


def _options() -> tuple[Option, ...]:
    """Read the options from the JSON schema of their model."""
    options = []
    for name, described in ExplainOptions.model_json_schema()["properties"].items():
        value = next((kind for kind in described.get("anyOf", ()) if kind.get("type") != "null"), described)
        schema = {key: value[key] for key in value if key not in ("title", "description", "header", "default")}
        if described["default"] is not None:
            schema["default"] = described["default"]
        options.append(
            Option(name, described["header"], schema, described["description"], name not in PredictOptions.model_fields)
        )
    return tuple(options)


OPTIONS = _options()
NAMES = tuple(option.name for option in OPTIONS)
_BY_NAME = dict(zip(NAMES, OPTIONS, strict=True))


@cache
def accepted(kind: str) -> tuple[str, ...]:
    """Return the names of the options that a request of this kind may have."""
    return tuple(MODELS[kind].model_fields)


# ---- parsing


def check_switch(name: str, text: str) -> None:
    """Check the text of a switch that is not an option.

    Raises:
        BadOption: the text is neither true nor false.
    """
    try:
        _switch(text)
    except ValueError:
        raise BadOption(f"{name} is {text!r:.60}: it must be true or false") from None


def parse(raw_options: list[RawOption], kind: str) -> PredictOptions:
    """Check the options of one request; those of an explanation are ExplainOptions.

    Raises:
        UnknownOption: this kind of request does not have an option of this name.
        BadOption: the option cannot have this value, or it is set twice with different values.
    """
    if not raw_options:
        return _DEFAULTS[kind]
    names = accepted(kind)
    values: dict[str, str] = {}
    for name, value, where in raw_options:
        if name not in names:
            raise UnknownOption(f"unknown option {name[:40]!r} ({where}): {kind} has {', '.join(names)}")
        text = _as_text(name, value, where)
        if values.setdefault(name, text) != text:
            raise BadOption(f"option {name!r} is given as {values[name]!r:.60} and as {text!r:.60}: give it once")
    try:
        return MODELS[kind].model_validate(values)
    except ValidationError as error:
        wrong = str(error.errors(include_url=False, include_context=False)[0]["loc"][0])
        raise BadOption(_BY_NAME[wrong].requirement(values[wrong])) from None


def _as_text(name: str, value: Any, where: str) -> str:
    """Return a value as it would be written in a query."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and name == "contrast" and all(isinstance(part, str | int) for part in value):
        return orjson.dumps([str(part) for part in value]).decode()
    if not isinstance(value, int | float):
        raise BadOption(f"option {name!r} is of type {type(value).__name__} ({where}): give one value")
    return str(value).lower()  # JSON's true is Python's True
