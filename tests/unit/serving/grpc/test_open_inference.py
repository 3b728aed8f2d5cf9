"""The messages are Triton's, number by number, and the Python made from them is up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from tritonclient.grpc import service_pb2 as triton

from serving.grpc import generate
from serving.grpc import open_inference_pb2 as ours

OURS = FileDescriptorProto.FromString(ours.DESCRIPTOR.serialized_pb)
TRITON = FileDescriptorProto.FromString(triton.DESCRIPTOR.serialized_pb)


def messages(among: Any, prefix: str = "") -> dict[str, list[str]]:
    """Every message with its fields, as `number label type name of oneof`."""
    by_name: dict[str, list[str]] = {}
    for message in among:
        name = f"{prefix}{message.name}"
        oneofs = [oneof.name for oneof in message.oneof_decl]
        by_name[name] = [
            f"{field.number} {field.label} {field.type} {field.type_name} {field.name} "
            + (oneofs[field.oneof_index] if field.HasField("oneof_index") else "")
            for field in message.field
        ]
        by_name |= messages(message.nested_type, f"{name}.")
    return by_name


THEIR_MESSAGES = messages(TRITON.message_type)


@pytest.mark.parametrize(("name", "fields"), messages(OURS.message_type).items())
def test_a_message_has_the_fields_of_tritons(name: str, fields: list[str]) -> None:
    assert fields == THEIR_MESSAGES[name]


def test_the_service_has_the_name_and_calls_of_tritons() -> None:
    (own_service,), (triton_service,) = OURS.service, TRITON.service
    assert (OURS.package, OURS.syntax, own_service.name) == (TRITON.package, TRITON.syntax, triton_service.name)
    calls = {method.name: method for method in triton_service.method}
    assert [method for method in own_service.method if method != calls[method.name]] == []
    assert len(own_service.method) == 6


def test_the_python_is_made_from_the_proto_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate.generate(tmp_path)
    for name in ("open_inference_pb2.py", "open_inference_pb2.pyi"):
        generated, committed = (tmp_path / name).read_text(), (generate.FOLDER / name).read_text()
        assert generated == committed, "run `python -m serving.grpc.generate`"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "open_inference_pb2", raising=False)
    import open_inference_pb2 as fresh  # type: ignore[import-not-found]

    assert fresh.DESCRIPTOR.serialized_pb == ours.DESCRIPTOR.serialized_pb


def test_messages_go_between_both_in_one_process() -> None:
    request = ours.ModelInferRequest(model_name="digits", raw_input_contents=[b"\x00"])
    request.parameters["top_k"].int64_param = 3
    read = triton.ModelInferRequest.FromString(request.SerializeToString())
    assert (read.model_name, read.parameters["top_k"].int64_param) == ("digits", 3)
    assert list(read.raw_input_contents) == [b"\x00"]
