"""deploy/openapi.json is what the code makes, is valid, and leaves nothing out."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers.options import OPTIONS
from models.card import Limits
from scripts import cli
from scripts.maintenance.openapi.schemas import all_errors, handler_errors, option_schema, proxy_errors
from scripts.maintenance.reference.errors import ADVICE
from serving.web.documents import OPENAPI


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(OPENAPI.read_text(encoding="utf-8"))


def test_the_file_is_what_the_command_makes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["maintenance", "openapi", "--out", str(tmp_path / "made.json")])
    assert "bytes" in capsys.readouterr().out
    generated = (tmp_path / "made.json").read_text(encoding="utf-8")
    assert OPENAPI.read_text(encoding="utf-8") == generated, "make it again: make openapi"


def test_openapi_document_is_valid(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_openapi_file_is_indented_and_not_huge() -> None:
    text = OPENAPI.read_text(encoding="utf-8")
    assert len(text.encode()) < 400_000
    assert text.startswith('{\n  "openapi": "3.1.0",\n')


def is_sentence(text: str) -> bool:
    """Return whether a text begins like a sentence, ends like one, and has a few words."""
    return len(text.split()) >= 3 and text[0] in string.ascii_uppercase + "-`" and text.rstrip()[-1] in ".|"


def resolved(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Return a component in the place of a reference to it."""
    if "$ref" not in value:
        return value
    component: Any = document
    for step in value["$ref"].removeprefix("#/").split("/"):
        component = component[step]
    return dict(component)


def properties_in(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the properties of a schema and of the schemas within it, with their paths."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from properties_in(item, f"{path}[{index}]")
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("if", "then", "else"):  # rules about properties that are described above
                continue
            if key == "properties":
                yield from ((f"{path}.{name}", shape) for name, shape in value.items())
            yield from properties_in(value, f"{path}.{key}")


def test_every_operation_has_a_summary_and_a_description(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method in item.keys() - {"parameters"}:
            operation = item[method]
            assert len(operation["summary"].split()) >= 3, path
            assert is_sentence(operation["description"]), path
            assert operation["tags"][0] in [tag["name"] for tag in document["tags"]], path


@pytest.mark.parametrize("kind", ["parameters", "headers", "requestBodies", "responses", "schemas"])
def test_every_component_has_a_description(document: dict[str, Any], kind: str) -> None:
    components = document["components"][kind]
    assert [name for name, component in components.items() if not is_sentence(component["description"])] == []


def test_every_property_has_a_description(document: dict[str, Any]) -> None:
    components = document["components"]
    properties = dict(properties_in({kind: components[kind] for kind in ("requestBodies", "responses")}, ""))
    properties |= dict(properties_in(components["schemas"], "schemas"))
    assert len(properties) > 150
    missing = [path for path, shape in properties.items() if "description" not in resolved(document, shape)]
    assert missing == []
    texts = {path: resolved(document, shape)["description"] for path, shape in properties.items()}
    assert {path: text for path, text in texts.items() if not is_sentence(text)} == {}


def test_every_json_body_has_examples_that_fit_its_schema(document: dict[str, Any]) -> None:
    components = document["components"]
    for kind in ("requestBodies", "responses"):
        for name, component in components[kind].items():
            content = component.get("content", {}).get("application/json")
            if content is None or name == "Description":
                continue
            assert content["examples"], name
            validator = OAS31Validator(content["schema"] | {"components": components})
            for example in content["examples"].values():
                assert [error.message for error in validator.iter_errors(example["value"])] == [], name


def test_every_error_type_has_a_meaning_in_the_description(document: dict[str, Any]) -> None:
    responses = document["components"]["responses"]
    for kind, status in all_errors().items():
        text = responses["Refused" if status < 500 else "Failed"]["description"]
        assert f"| {status} | `{kind}` | {ADVICE[kind].when.partition('[')[0]}" in text
        assert "](" not in text


def test_each_option_is_there_in_each_of_its_places(document: dict[str, Any]) -> None:
    there = document["components"]
    for option in OPTIONS:
        assert there["schemas"][option.name] == option_schema(option)
        assert there["parameters"][option.name]["in"] == "query"
        assert there["parameters"][option.header]["in"] == "header"
        for kind in ("Predict", "Explain"):
            expected = kind == "Explain" or not option.explain_only
            native, v1, v2 = (there["schemas"][name]["properties"] for name in (kind, f"{kind}V1", f"{kind}V2"))
            fields = there["requestBodies"][kind]["content"]["multipart/form-data"]["schema"]["properties"]
            for properties in (native, v1, v1["parameters"]["properties"], v2["parameters"]["properties"], fields):
                assert (option.name in properties) == expected
        for path, item in document["paths"].items():
            if "post" in item:
                named = [parameter["$ref"].rpartition("/")[2] for parameter in item["parameters"]]
                expected = ("predict" not in path and "infer" not in path) or not option.explain_only
                assert ((option.name in named), (option.header in named)) == (expected, expected), path


def test_each_error_is_there_with_its_status(document: dict[str, Any]) -> None:
    assert {"MissingImage", "CorruptImage", "OutOfMemory"} <= handler_errors().keys()
    assert {"NotFound", "Unauthorized", "WorkerDied", "BadGateway"} <= proxy_errors().keys()
    error = document["components"]["schemas"]["Error"]
    assert error["properties"]["type"]["enum"] == sorted(all_errors())
    statuses, rule = {}, error
    while rule:
        status = rule["if"]["properties"]["code"]["const"]
        statuses |= dict.fromkeys(rule["then"]["properties"]["type"]["enum"], status)
        rule = rule["else"]
    assert statuses == all_errors()


@pytest.mark.parametrize(
    ("code", "kind", "valid"),
    [(415, "UnsupportedImage", True), (404, "UnsupportedImage", False), (418, "UnsupportedImage", False)],
)
def test_an_error_has_the_status_of_its_type(document: dict[str, Any], code: int, kind: str, valid: bool) -> None:
    schema = document["components"]["schemas"]["Error"]
    error = {"code": code, "type": kind, "message": ""}
    assert OAS31Validator(schema).is_valid(error) == valid


def test_code_generators_know_each_media_type_of_a_body(document: dict[str, Any]) -> None:
    """openapi-python-client leaves out a body of another type, or one without a schema."""
    for body in document["components"]["requestBodies"].values():
        for media_type, content in body["content"].items():
            assert media_type in ("application/json", "application/octet-stream", "multipart/form-data")
            assert content["schema"]


def test_no_schema_refers_to_itself(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def reached(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        for other in re.findall(r"#/components/schemas/(\w+)", json.dumps(schemas[name])):
            reached(other, (*path, name))

    for name in schemas:
        reached(name, ())


def test_the_limits_are_there(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["File"]["maxLength"] == Limits().max_bytes
    assert schemas["PredictV1"]["properties"]["instances"]["maxItems"] == Limits().max_images
    assert f"{Limits().max_pixels:,} pixels" in schemas["File"]["description"]


def test_operations_are_told_apart(document: dict[str, Any]) -> None:
    operations = [item[method] for item in document["paths"].values() for method in item if method != "parameters"]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) == len(document["paths"])


def test_openapi_components_are_all_used(document: dict[str, Any]) -> None:
    used = set(re.findall(r"#/components/\w+/[^\"]+", json.dumps(document)))
    there = {
        f"#/components/{kind}/{name}"
        for kind, components in document["components"].items()
        if kind != "securitySchemes"
        for name in components
    }
    assert there == used
