from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from handlers.golden_answers import GoldenError
from handlers.torchserve_handler import REFERRED_HEADER, ImageClassifier
from models.card import Card, CardError, Policy
from models.release import UNCERTAINTY, WEIGHTS, Release, ReleaseError, sha256
from serving.rollout.shadow.samples import SampleServer
from tests.unit.handlers.torchserve.stand_in import Context, ask

pytestmark = pytest.mark.usefixtures("service")


def test_the_answer_of_one_request_is_bytes(handler: ImageClassifier, image: bytearray) -> None:
    (body,) = handler.handle([{"body": image}], Context(headers=[{}]))
    assert isinstance(body, bytes)
    assert list(json.loads(body))[:4] == ["model", "version", "request_id", "predictions"]


def test_each_request_of_a_batch_is_explained_or_not_by_its_own_header(
    handler: ImageClassifier, image: bytearray
) -> None:
    headers: list[dict[str, Any]] = [{"explain": "True"}, {}, {"explain": "False"}, {"explain": "True"}]
    answers, _ = ask(handler, *(({"body": image}, own) for own in headers))
    assert ["overlay_png" in answer for answer in answers] == [True, False, False, True]


def test_each_answer_has_its_own_status_and_headers(handler: ImageClassifier, image: bytearray) -> None:
    answers, context = ask(
        handler, ({"body": image}, {}), ({"body": b"text"}, {}), ({"body": image[:70]}, {}), ({}, {})
    )
    assert context.statuses == {
        0: (200, "OK"),
        1: (415, "Unsupported Media Type"),
        2: (422, "Unprocessable Entity"),
        3: (400, "Bad Request"),
    }
    assert [answer.get("type") for answer in answers] == [None, "UnsupportedImage", "CorruptImage", "MissingImage"]
    expected = {"content-type": "application/json", "X-Model-Version": "1.0", "X-Model-Engine": "eager"}
    assert context.response_headers == {place: expected | {"X-Request-Id": f"server-{place}"} for place in range(4)}


def test_the_id_is_the_one_that_came_with_the_request_or_else_the_servers(
    handler: ImageClassifier, image: bytearray
) -> None:
    answers, context = ask(handler, ({"body": image}, {"X-Request-Id": "mine"}), ({"body": image}, {}))
    assert [answer["request_id"] for answer in answers] == ["mine", "server-1"]
    assert [context.response_headers[place]["X-Request-Id"] for place in range(2)] == ["mine", "server-1"]


@pytest.mark.parametrize("name", ["X-Top-K", "x-top-k", "X-TOP-K"])
def test_header_names_are_read_in_any_case(handler: ImageClassifier, image: bytearray, name: str) -> None:
    (answer,), _ = ask(handler, ({"body": image}, {name: "2"}))
    assert len(answer["predictions"]) == 2


@pytest.mark.parametrize("name", ["X-Torchlight-Query", "x-torchlight-query"])
def test_the_query_comes_as_a_header(handler: ImageClassifier, image: bytearray, name: str) -> None:
    (answer,), _ = ask(handler, ({"body": image}, {name: "top_k=1&target=8", "explain": "True"}))
    assert (len(answer["predictions"]), answer["target"]["index"]) == (1, 8)


def test_the_type_of_a_part_is_not_taken_for_a_header(handler: ImageClassifier, image: bytearray) -> None:
    headers = {"image": {"content-type": "image/png"}, "explain": {"content-type": "text/plain"}, "host": "a"}
    (answer,), _ = ask(handler, ({"image": image}, headers))
    assert list(answer)[:4] == ["model", "version", "request_id", "predictions"]


def test_the_type_of_a_part_makes_it_json(handler: ImageClassifier) -> None:
    headers = {"body": {"content-type": "application/json"}}
    (answer,), context = ask(handler, ({"body": bytearray(b"{")}, headers))
    assert (answer["type"], context.statuses) == ("BadJSON", {0: (400, "Bad Request")})


@pytest.mark.parametrize("parts", [{}, {"body": b""}, {"body": bytearray()}, {"body": None}])
@pytest.mark.parametrize("name", ["describe", "Describe"])
def test_a_description_is_the_card_and_which_engine_answers(
    handler: ImageClassifier, release: Release, parts: dict[str, Any], name: str
) -> None:
    (answer,), _ = ask(handler, (parts, {name: "True"}))
    assert answer.pop("engine") == {"name": "eager", "passed_over": {}}
    assert Card.model_validate(answer) == release.card


def test_a_client_that_sends_describe_with_an_image_gets_its_prediction(
    handler: ImageClassifier, image: bytearray
) -> None:
    answers, _ = ask(
        handler,
        ({"body": image}, {}),
        ({"body": image}, {"describe": "True"}),
        ({}, {"describe": "True"}),
        ({"body": image}, {"explain": "True", "describe": "True"}),
    )
    assert ["predictions" in answer for answer in answers] == [True, True, False, True]
    assert answers[0] == answers[1] | {"request_id": "server-0"}
    assert "overlay_png" in answers[3]


def test_the_model_proves_itself_before_it_takes_requests(own_release: Release) -> None:
    answers = own_release.folder / "golden" / "answers.json"
    document = json.loads(answers.read_text(encoding="utf-8"))
    document["probabilities"]["04.png"] = [0.1] * 10
    answers.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(GoldenError, match=r"golden image 04\.png"):
        ImageClassifier().initialize(Context(str(own_release.folder)))


def change_a_weight(release: Release) -> None:
    weights = load_file(release.folder / WEIGHTS)
    weights["classifier.3.bias"] += torch.eye(10)[0] * 1e-7  # the golden answers would not show it
    save_file(weights, release.folder / WEIGHTS)


def test_weights_the_card_does_not_vouch_for_are_refused(own_release: Release) -> None:
    before = sha256(own_release.folder / WEIGHTS)
    change_a_weight(own_release)
    assert sha256(own_release.folder / WEIGHTS) != before
    with pytest.raises(ReleaseError, match=r"weights\.safetensors: its SHA-256 is not the card's"):
        ImageClassifier().initialize(Context(str(own_release.folder)))


def test_a_folder_that_is_no_model_is_refused(tmp_path: Any) -> None:
    with pytest.raises(CardError, match=r"card\.yaml: no such file"):
        ImageClassifier().initialize(Context(str(tmp_path)))


def test_parts_with_the_same_name_are_told_apart(handler: ImageClassifier, service: Any) -> None:
    parameters = [
        {"name": name, "value": value, "contentType": "image/png"}
        for name, value in [("image", b"a"), ("image", b"b"), ("top_k", b"1"), ("image", b"c")]
    ]
    _, inputs, _ = service.retrieve_data_for_inference([{"requestId": b"1", "parameters": parameters}])
    assert inputs == [{"image": b"a", "image#2": b"b", "top_k": b"1", "image#3": b"c"}]


def test_a_name_that_a_part_has_already_is_given_to_no_other(handler: ImageClassifier, service: Any) -> None:
    parameters = [
        {"name": name, "value": value, "contentType": ""}
        for name, value in [("image", b"a"), ("image#2", b"b"), ("image", b"c"), ("image", b"d")]
    ]
    _, inputs, _ = service.retrieve_data_for_inference([{"requestId": b"1", "parameters": parameters}])
    assert inputs == [{"image": b"a", "image#2": b"b", "image#3": b"c", "image#4": b"d"}]


def test_a_second_worker_start_in_one_process_counts_parts_once(release: Release, service: Any) -> None:
    ImageClassifier().initialize(Context(str(release.folder)))
    ImageClassifier().initialize(Context(str(release.folder)))
    parameters = [{"name": "image", "value": value, "contentType": ""} for value in (b"a", b"b")]
    _, inputs, _ = service.retrieve_data_for_inference([{"requestId": b"1", "parameters": parameters}])
    assert inputs == [{"image": b"a", "image#2": b"b"}]


def limited(release: Release, config: dict[str, Any]) -> ImageClassifier:
    loaded = ImageClassifier()
    loaded.initialize(Context(str(release.folder), config=config))
    return loaded


def test_the_archives_configuration_may_change_limits_of_the_card(release: Release, image: bytearray) -> None:
    strict = limited(release, {"handler": {"limits": {"max_images": 1}}, "minWorkers": 1})
    (one, two), context = ask(strict, ({"image": image}, {}), ({"image": image, "image#2": image}, {}))
    assert [context.statuses[place][0] for place in range(2)] == [200, 413]
    assert (list(one)[:4], two["type"]) == (["model", "version", "request_id", "predictions"], "TooManyImages")
    assert strict._classifier.limits == release.card.limits.model_copy(update={"max_images": 1})


@pytest.mark.parametrize("config", [{}, {"handler": None}, {"handler": {}}, {"handler": {"limits": None}}])
def test_a_configuration_that_says_nothing_leaves_the_cards_limits(release: Release, config: dict[str, Any]) -> None:
    assert limited(release, config)._classifier.limits == release.card.limits


@pytest.mark.parametrize("limits", [{"max_byte": 1}, {"max_images": 0}, {"max_pixels": "many"}])
def test_limits_that_cannot_be_are_refused_before_the_worker_is_ready(release: Release, limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        limited(release, {"handler": {"limits": limits}})


def test_the_archives_configuration_may_change_the_policy_of_the_card(
    release_with_uncertainty: Release, image: bytearray
) -> None:
    (own,), _ = ask(limited(release_with_uncertainty, {}), ({"image": image}, {}))
    assert own["decision"] == "accept"
    strict = limited(release_with_uncertainty, {"handler": {"policy": {"min_probability": 1.0}}})
    assert strict._classifier.estimator.uncertainty.policy == Policy(min_probability=1.0, max_set_size=2)
    (changed,), _ = ask(strict, ({"image": image}, {}))
    assert (changed.pop("decision"), changed.pop("reason")) == ("refer", "unsure")
    assert changed == {name: own[name] for name in changed}


def test_proxy_learns_of_referred_images(release_with_uncertainty: Release, image: bytearray) -> None:
    through_proxy = {"x-torchlight-start": "1"}
    refers = limited(release_with_uncertainty, {"handler": {"policy": {"min_probability": 1.0}}})
    _, context = ask(refers, ({"image": image}, through_proxy), ({"image": image}, {}), ({}, through_proxy))
    assert [context.response_headers[place].get(REFERRED_HEADER) for place in range(3)] == ["1", None, None]
    explained = through_proxy | {"explain": "True"}
    _, context = ask(refers, ({"image": image, "image#2": image}, explained))
    assert context.response_headers[0][REFERRED_HEADER] == "1"
    accepts = limited(release_with_uncertainty, {})
    _, context = ask(accepts, ({"image": image}, through_proxy))
    assert REFERRED_HEADER not in context.response_headers[0]


def test_a_policy_that_cannot_be_is_refused_before_the_worker_is_ready(release_with_uncertainty: Release) -> None:
    with pytest.raises(ValueError, match="max_set_sise"):
        limited(release_with_uncertainty, {"handler": {"policy": {"max_set_sise": 2}}})


def test_tensors_the_card_does_not_vouch_for_are_refused(release_with_uncertainty: Release, tmp_path: Path) -> None:
    shutil.copytree(release_with_uncertainty.folder, tmp_path / "copy")
    tensors = load_file(tmp_path / "copy" / UNCERTAINTY)
    save_file({name: value + 1e-6 for name, value in tensors.items()}, tmp_path / "copy" / UNCERTAINTY)
    with pytest.raises(ReleaseError, match=r"uncertainty\.safetensors: its SHA-256 is not the card's"):
        ImageClassifier().initialize(Context(str(tmp_path / "copy")))


@pytest.mark.parametrize("content", [5, None, True, [1], "text", {"\ud800": 1}, {"id": "\ud800", "inputs": 5}])
def test_json_decoded_by_torchserve_fails_only_its_own_request(
    handler: ImageClassifier, image: bytearray, content: Any
) -> None:
    headers = {"body": {"content-type": "application/json"}}
    answers, context = ask(handler, ({"body": image}, {}), ({"body": content}, headers))
    assert {place: code for place, (code, _) in context.statuses.items()} == {0: 200, 1: 400}
    assert answers[1]["type"] == "BadJSON"


def test_predictions_are_offered_to_a_shadow(
    release: Release, image: bytearray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = SampleServer(tmp_path / "samples.sock")
    document = {"version": "1.0", "share": 1.0, "socket": str(tmp_path / "samples.sock")}
    (tmp_path / "shadow-digits.json").write_text(json.dumps(document))
    worker = limited(release, {})
    try:
        assert server.next(10) is None, "the worker connects"
        deadline = time.monotonic() + 5
        while not worker._sampler._below and time.monotonic() < deadline:
            time.sleep(0.01)
        marks = {"X-Torchlight-Start": "1", "X-Top-K": "1", "Authorization": "Bearer secret"}
        (answer,), _ = ask(worker, ({"body": image}, marks))
        sample = server.next(5)
    finally:
        (tmp_path / "shadow-digits.json").unlink()
        server.close()
    assert sample is not None
    assert (sample.body, json.loads(sample.answer), sample.status) == (bytes(image), answer, 200)
    assert sample.headers == {"x-top-k": "1"}
    assert sample.answer_headers["x-model-version"] == "1.0"
