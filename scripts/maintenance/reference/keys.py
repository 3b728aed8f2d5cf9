"""Keys of a YAML file, read from its pydantic model: type, default, allowed values and meaning.

The meaning of a key is its entry in the `Attributes:` section of the model's docstring.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from scripts.maintenance import markdown

COLUMNS = ("key", "type", "default", "allowed", "meaning")
REQUIRED = "required"
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a file. All but the name are Markdown.

    Attributes:
        name: dotted if the key lies below another key, with `[]` after the key of a list.
    """

    name: str
    type: str
    default: str
    allowed: str
    meaning: str

    def cells(self) -> list[str]:
        """Return the cells of its row."""
        return [markdown.code(self.name), self.type, self.default, self.allowed, self.meaning.replace("|", "\\|")]


def table(keys: Iterable[Key]) -> str:
    """Return the keys as a Markdown table."""
    return markdown.table(COLUMNS, [key.cells() for key in keys])


def sections(keys: Iterable[Key]) -> str:
    """Return a table of the keys at the top, then a heading and a table for each top-level key that holds others."""
    groups: dict[str, list[Key]] = {}
    for key in keys:
        groups.setdefault(re.split(r"\[|\.", key.name)[0], []).append(key)
    top = table(group[0] for group in groups.values())
    below = [f"### `{name}`\n\n{table(group[1:])}" for name, group in groups.items() if len(group) > 1]
    return "\n\n".join([top, *below])


def keys_of(model: type[BaseModel], prefix: str = "", values: BaseModel | None = None) -> Iterator[Key]:
    """Yield the keys of a model in order, each followed by the keys below it.

    Args:
        prefix: dotted name of the key that holds this model, with a dot at its end.
        values: default of that key. It replaces the defaults of the model's fields.
    """
    meanings = attributes(model)
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        default = field.default if values is None else getattr(values, name)
        described, null = _without_null(schema["properties"][name])
        nested = _nested(field.annotation)
        kind, allowed = ("mapping", "") if nested else _type_and_allowed(described, schema)
        is_list = described.get("type") == "array"
        if nested and is_list:
            kind = "list of mappings"
            if "prefixItems" in described:  # a list of values, or a mapping in its place
                kind, allowed = _type_and_allowed(described, schema)
                is_list, kind = False, f"{kind}, or mapping"
        yield Key(f"{prefix}{name}", f"{kind} or null" if null else kind, _text(default), allowed, meanings[name])
        if nested:
            inner = default if isinstance(default, BaseModel) else None
            yield from keys_of(nested, f"{prefix}{name}{'[]' if is_list else ''}.", inner)


def attributes(model: type) -> Mapping[str, str]:
    """Return the entries of the `Attributes:` section of a class, by name, each in one line."""
    docstring = inspect.getdoc(model) or ""
    section = textwrap.dedent(docstring.partition("\nAttributes:\n")[2].partition("\n\n")[0])
    entries = re.findall(r"^(\w+): (.*(?:\n +.*)*)", section, re.MULTILINE)
    return {name: _sentence(" ".join(text.split())) for name, text in entries}


def _sentence(text: str) -> str:
    """Return the text with a capital, unless it begins with code, and without a final period."""
    return (text[0].upper() + text[1:]).removesuffix(".")


def _nested(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a key holds, directly, in a list, or as an alternative to null."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _nested(inner))), None)


def _without_null(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return the schema without the alternative null, and whether null is allowed."""
    alternatives = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return (alternatives[0], len(alternatives) < len(schema["anyOf"])) if alternatives else (schema, False)


def _type_and_allowed(described: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, str]:
    """Return the type of a value in words, and the values that it may have."""
    if "$ref" in described:  # an enumeration
        described = schema["$defs"][described["$ref"].rpartition("/")[2]]
    if "const" in described:
        return TYPES[described["type"]], markdown.code(str(described["const"]))
    if "enum" in described:
        return "text", ", ".join(markdown.code(value) for value in described["enum"])
    kind = described["type"]
    if kind == "array":
        items = described.get("prefixItems") or [described["items"]]
        inner, allowed = _type_and_allowed(items[0], schema)
        count = f"{len(items)} " if "prefixItems" in described else ""
        many = f"{described['minItems']} or more" if not count and "minItems" in described else ""
        return f"list of {count}{_plural(inner)}", ", ".join(
            part for part in (many, allowed and f"each {allowed}") if part
        )
    if kind == "object":
        values = described.get("additionalProperties")
        allowed = _type_and_allowed(values, schema)[1] if isinstance(values, dict) else ""
        return "mapping", allowed and f"values {allowed}"
    if "pattern" in described:
        return TYPES[kind], markdown.code(described["pattern"])
    return TYPES[kind], _bounds(described)


def _plural(kind: str) -> str:
    return {"whole number": "whole numbers", "number": "numbers", "text": "texts"}[kind]


def _bounds(described: Mapping[str, Any]) -> str:
    """Return the bounds of a number in words."""
    low = described.get("minimum")
    high = described.get("maximum")
    above = described.get("exclusiveMinimum")
    below = described.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    parts = [
        f"at least {low:,}" if low is not None else "",
        f"above {above:,}" if above is not None else "",
        f"at most {high:,}" if high is not None else "",
        f"below {below:,}" if below is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _text(default: Any) -> str:
    """Return a default as YAML writes it; empty for a mapping, whose keys have defaults of their own."""
    if default is PydanticUndefined:
        return REQUIRED
    if isinstance(default, BaseModel):
        return ""
    return markdown.code(default if default and isinstance(default, str) else json.dumps(default))
