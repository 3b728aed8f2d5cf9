from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from tritonclient import http
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from handlers.decision import Uncertainty
from handlers.errors import BadTensor, UnknownOption
from handlers.protocols import Result, v2
from handlers.protocols.native import members
from handlers.protocols.v2 import V2Encoder, parse, split
from models.card import Card, Conformal, Limits, OutOfDistribution, UncertaintyCard
from tests.support.scales import UNSCALED
from tests.unit.handlers.protocols.results import explained, found

CONTENTS = [b"\x89PNG\x00 and so on", b"", b"\xff" * 300]
EVERY = {"label": False, "index": False, "probability": False}
RESULTS = [Result(found("dog", "Küken")), Result(found("7", "cat"))]


# ---- the body with binary data


@pytest.mark.parametrize("length", [0, 3, 5])
def test_a_body_is_split_where_the_header_says(length: int) -> None:
    assert split(b"{}abc", str(length)) == (b"{}abc"[:length], b"{}abc"[length:])


@pytest.mark.parametrize("length", ["", "6", "-1", "+2", "2.0", " 2", "two", "²", "9" * 5000])
def test_a_header_that_is_no_length_within_the_body_is_refused(length: str) -> None:
    with pytest.raises(
        BadTensor, match=r"^Inference-Header-Content-Length is .*: it must be .*the body has 5$"
    ) as raised:
        split(b"{}abc", length)
    assert len(str(raised.value)) < 160


# ---- answers


def test_the_answer_in_json_has_a_row_for_each_image(card: Card) -> None:
    content = V2Encoder("mine", dict(EVERY)).encode(card, "r-1", RESULTS)
    assert content.headers == {"content-type": "application/json"}
    assert json.loads(content.body) == {
        "model_name": "pets",
        "model_version": "1.0",
        "id": "mine",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2, 2], "data": ["dog", "Küken", "7", "cat"]},
            {"name": "index", "datatype": "INT64", "shape": [2, 2], "data": [0, 1, 0, 1]},
            {"name": "probability", "datatype": "FP32", "shape": [2, 2], "data": [0.5, 0.25, 0.5, 0.25]},
        ],
    }


def test_without_an_id_of_the_clients_there_is_the_requests(card: Card) -> None:
    assert json.loads(V2Encoder("", dict(EVERY)).encode(card, "r-1", RESULTS).body)["id"] == "r-1"


def test_the_answer_in_binary_is_laid_out_as_triton_does(card: Card) -> None:
    content = V2Encoder("", dict.fromkeys(EVERY, True)).encode(card, "r-1", RESULTS)
    length = content.headers["Inference-Header-Content-Length"]
    assert content.headers == {"content-type": "application/octet-stream", "Inference-Header-Content-Length": length}
    document, binary = split(content.body, length)
    outputs = json.loads(document)["outputs"]
    assert [sorted(output) for output in outputs] == [["datatype", "name", "parameters", "shape"]] * 3
    labels = np.array(["dog", "Küken", "7", "cat"], dtype=object)
    wanted = [
        serialize_byte_tensor(labels).item(),
        np.array([0, 1, 0, 1], "<i8").tobytes(),
        np.array([0.5, 0.25, 0.5, 0.25], "<f4").tobytes(),
    ]
    assert [output["parameters"] for output in outputs] == [{"binary_data_size": len(blob)} for blob in wanted]
    assert binary == b"".join(wanted)
    assert [text.decode() for text in deserialize_bytes_tensor(wanted[0])] == labels.tolist()


def test_binary_and_json_may_be_mixed(card: Card) -> None:
    content = V2Encoder("", {"probability": False, "index": True}).encode(card, "r-1", RESULTS[:1])
    document, binary = split(content.body, content.headers["Inference-Header-Content-Length"])
    probability, index = json.loads(document)["outputs"]
    assert probability == {"name": "probability", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.25]}
    assert index == {"name": "index", "datatype": "INT64", "shape": [1, 2], "parameters": {"binary_data_size": 16}}
    assert binary == struct.pack("<qq", 0, 1)


@pytest.mark.parametrize("binary", [False, True])
def test_explanations_are_the_json_text_of_each_image(card: Card, binary: bool) -> None:
    results = [explained(1), explained(-2)]
    content = V2Encoder("", {"explanation": binary}).encode(card, "r-1", results)
    document, rest = split(
        content.body,
        content.headers.get("Inference-Header-Content-Length", "0") if binary else str(len(content.body)),
    )
    (output,) = json.loads(document)["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2])
    texts = deserialize_bytes_tensor(rest).tolist() if binary else output["data"]
    assert [json.loads(text) for text in texts] == [members(result) for result in results]


def test_judgements_are_outputs_with_an_element_for_each_image(card: Card) -> None:
    results = [
        Result(found("dog", "Küken"), Uncertainty(["dog", "Küken"], 1.5, 1.0, "energy", "ambiguous")),
        Result(found("7", "cat"), Uncertainty(["7"], 0.25, 1.0, "energy", None)),
    ]
    names = dict.fromkeys(v2.UNCERTAINTY_OUTPUTS, False)
    assert json.loads(V2Encoder("", names).encode(card, "r-1", results).body)["outputs"] == [
        {"name": "set", "datatype": "BYTES", "shape": [2], "data": ['["dog","Küken"]', '["7"]']},
        {"name": "ood_score", "datatype": "FP32", "shape": [2], "data": [1.5, 0.25]},
        {"name": "decision", "datatype": "BYTES", "shape": [2], "data": ["refer", "accept"]},
        {"name": "reason", "datatype": "BYTES", "shape": [2], "data": ["ambiguous", ""]},
        {"name": "reason_detail", "datatype": "BYTES", "shape": [2], "data": ["", ""]},
    ]
    content = V2Encoder("", dict.fromkeys(v2.UNCERTAINTY_OUTPUTS, True)).encode(card, "r-1", results)
    read = http.InferenceServerClient.parse_response_body(
        content.body, header_length=int(content.headers["Inference-Header-Content-Length"])
    )
    assert read.as_numpy("ood_score").tolist() == [1.5, 0.25]
    assert read.as_numpy("reason").tolist() == [b"ambiguous", b""]
    assert [json.loads(text) for text in read.as_numpy("set")] == [["dog", "Küken"], ["7"]]


def test_missing_set_is_null_and_a_foreign_image_has_its_detail(card: Card) -> None:
    foreign = Uncertainty(None, 1.5, 1.0, "energy", "out_of_distribution", "colors")
    names = dict.fromkeys(("set", "reason", "reason_detail"), False)
    body = V2Encoder("", names).encode(card, "r-1", [Result(found("dog"), foreign)]).body
    assert [output["data"] for output in json.loads(body)["outputs"]] == [["null"], ["out_of_distribution"], ["colors"]]


@pytest.mark.parametrize("kind", ["predict", "explain"])
def test_explanations_are_an_output_when_requested(kind: str) -> None:
    document = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [""]}]}
    last = ["explanation"] if kind == "explain" else []
    assert list(parse(document, b"", kind, Limits(), has_uncertainty=True)[2].outputs) == [
        *EVERY,
        *v2.UNCERTAINTY_OUTPUTS,
        *last,
    ]
    assert list(parse(document, b"", kind, Limits())[2].outputs) == [*EVERY, *last]
    asked = document | {"outputs": [{"name": "decision"}]}
    assert parse(asked, b"", kind, Limits(), has_uncertainty=True)[2].outputs == {"decision": False}
    with pytest.raises(UnknownOption, match="unknown output 'decision'"):
        parse(asked, b"", kind, Limits())


def test_the_metadata_name_them_where_the_card_has_trust(card: Card) -> None:
    uncertainty = UncertaintyCard(
        conformal=Conformal(method="aps", coverage=0.9, thresholds=(0.5,)),
        ood=OutOfDistribution(score="energy", scale=UNSCALED, threshold=0.0, false_positive_rate=0.05),
    )
    outputs = v2.metadata(card.model_copy(update={"uncertainty": uncertainty}))["outputs"]
    assert [(one["name"], one["datatype"], one["shape"]) for one in outputs[3:]] == [
        ("set", "BYTES", [-1]),
        ("ood_score", "FP32", [-1]),
        ("decision", "BYTES", [-1]),
        ("reason", "BYTES", [-1]),
        ("reason_detail", "BYTES", [-1]),
    ]


def test_the_metadata_say_what_goes_in_and_comes_out(card: Card) -> None:
    found = v2.metadata(card)
    assert (found["name"], found["versions"], found["platform"]) == ("pets", ["1.0"], "pytorch_torchserve")
    assert found["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [(one["name"], one["datatype"], one["shape"]) for one in found["outputs"]] == [
        ("label", "BYTES", [-1, -1]),
        ("index", "INT64", [-1, -1]),
        ("probability", "FP32", [-1, -1]),
    ]


def test_triton_s_own_http_client_encodes_what_is_read_and_reads_what_is_encoded(card: Card) -> None:
    values = np.array(CONTENTS, dtype=object)
    asked = http.InferInput("image", [3], "BYTES")
    asked.set_data_from_numpy(values, binary_data=True)
    wanted = [http.InferRequestedOutput(name, binary_data=True) for name in EVERY]
    body, length = http.InferenceServerClient.generate_request_body([asked], outputs=wanted, request_id="mine")
    document, binary = split(body, str(length))
    images, given, reply = parse(json.loads(document), binary, "predict", Limits())
    assert ([content for _, content in images], given) == (CONTENTS, [])
    content = reply.encode(card, "r-1", RESULTS)
    answer = http.InferenceServerClient.parse_response_body(
        content.body, header_length=int(content.headers["Inference-Header-Content-Length"])
    )
    assert answer.get_response()["id"] == "mine"
    assert [text.decode() for text in answer.as_numpy("label").ravel()] == ["dog", "Küken", "7", "cat"]
    assert answer.as_numpy("index").tolist() == [[0, 1], [0, 1]]
    assert answer.as_numpy("probability").dtype == np.float32
    assert answer.as_numpy("probability").tolist() == [[0.5, 0.25], [0.5, 0.25]]
