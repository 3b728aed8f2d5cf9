"""Independence of the requests that share a batch in TorchServe: its traps under 'batches', against the real thing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.support.server import Server

Call = tuple[str, bytes, dict[str, str]]


def together(calls: list[Call]) -> list[requests.Response]:
    """Send all at once; with as many as the batch size they fill one batch, which then does not wait."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(lambda call: requests.post(call[0], data=call[1], headers=call[2], timeout=30), calls))
    assert time.monotonic() - began < 5
    return answers


def image(server: Server) -> dict[str, str]:
    """Return the headers of an image. The id comes back in the body: answers can be compared only where it is given."""
    return {"Content-Type": "image/png", "X-Request-Id": "mine", **server.key("inference")}


def test_predictions_and_explanations_in_one_batch_keep_their_kind(slow: Server, digit: dict[str, bytes]) -> None:
    predict, explain = f"{slow.direct}/predictions/digits", f"{slow.direct}/explanations/digits"
    calls: list[Call] = [(explain if i % 2 == 0 else predict, digit[str(i)], image(slow)) for i in range(8)]
    answers = together(calls)
    assert [answer.status_code for answer in answers] == [200] * 8
    assert [("overlay_png" in answer.json()) for answer in answers] == [True, False] * 4
    assert [answer.json()["predictions"][0]["label"] for answer in answers] == [str(i) for i in range(8)]


def test_a_corrupt_image_among_good_ones_fails_alone(slow: Server, digit: dict[str, bytes]) -> None:
    url = f"{slow.direct}/predictions/digits"
    alone = [requests.post(url, data=digit[str(i)], headers=image(slow), timeout=30).json() for i in range(8)]
    calls: list[Call] = [(url, digit[str(i)], image(slow)) for i in range(8)]
    calls[0] = (url, digit["0"][:200], image(slow))
    calls[3] = (url, b"no image at all", image(slow))
    calls[5] = (f"{slow.direct}/explanations/digits", b"", image(slow))
    answers = together(calls)
    assert [answer.status_code for answer in answers] == [422, 200, 200, 415, 200, 400, 200, 200]
    assert answers[3].json()["type"] == "UnsupportedImage"
    assert all(answers[i].json() == alone[i] for i in (1, 2, 4, 6, 7))
    assert {answer.headers["X-Model-Version"] for answer in answers} == {"1.0"}
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/json"}


def test_a_clients_describe_header_changes_nobodys_answer(slow: Server, digit: dict[str, bytes]) -> None:
    url = f"{slow.direct}/predictions/digits"
    calls: list[Call] = [
        (url, digit[str(i)], {**image(slow), "describe": "True"} if i == 0 else image(slow)) for i in range(8)
    ]
    answers = together(calls)
    assert [answer.json()["predictions"][0]["label"] for answer in answers] == [str(i) for i in range(8)]


def test_an_explain_header_on_invocations_is_that_request_alone(slow: Server, digit: dict[str, bytes]) -> None:
    url = f"{slow.direct}/invocations"
    calls: list[Call] = [
        (url, digit[str(i)], {**image(slow), "explain": "True"} if i == 0 else image(slow)) for i in range(8)
    ]
    answers = together(calls)
    assert [("overlay_png" in answer.json()) for answer in answers] == [True] + [False] * 7


def test_the_management_api_describes_the_model_by_its_card(slow: Server) -> None:
    card: dict[str, Any] = slow.describe("/models/digits?customized=true")[0]["customizedMetadata"]
    assert card["name"] == "digits"
    assert card["metrics"]["accuracy"] >= 0.97


def test_parts_that_share_a_name_are_all_answered(slow: Server, digit: dict[str, bytes]) -> None:
    files = [("image", (f"{i}.png", digit[str(i)], "image/png")) for i in (7, 1, 4)]
    answer = requests.post(
        f"{slow.direct}/predictions/digits", files=files, headers=slow.key("inference"), timeout=30
    ).json()
    assert [result["predictions"][0]["label"] for result in answer["results"]] == ["7", "1", "4"]


def test_unbatched_request_is_answered_like_a_batched_one(
    slow: Server, server: Server, digit: dict[str, bytes]
) -> None:
    batched = requests.post(
        f"{slow.direct}/predictions/digits", data=digit["8"], headers=image(slow), timeout=30
    ).json()
    alone = requests.post(
        f"{server.direct}/predictions/digits", data=digit["8"], headers=image(server), timeout=30
    ).json()
    assert batched == alone
