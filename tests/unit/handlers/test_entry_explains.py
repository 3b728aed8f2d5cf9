"""A worker that explains: aside, where it disturbs nobody, while a prediction is answered as anywhere else."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from handlers.entry import NICENESS, ONE_AT_A_TIME, ImageClassifier
from models.release import Release
from tests.unit.handlers.torchserve import Context, ask

pytestmark = pytest.mark.usefixtures("service")


def loaded(release: Release, batch_size: int = 1) -> ImageClassifier:
    handler = ImageClassifier()
    handler.initialize(Context(str(release.folder), model_name="digits-explain", batch_size=batch_size))
    return handler


@pytest.fixture(scope="module")
def explains(release: Release) -> ImageClassifier:
    return loaded(release)


def niceness() -> int:
    """Of the calling thread."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_it_answers_as_those_that_predict_do(
    explains: ImageClassifier, handler: ImageClassifier, image: bytearray
) -> None:
    for headers in ({}, {"explain": "True"}, {"x-top-k": "2"}):
        request: tuple[dict[str, Any], dict[str, Any]] = ({"body": image}, headers)
        (here,), (there,) = ask(explains, request)[0], ask(handler, request)[0]
        assert here.keys() == there.keys()
        assert {name for name in here if here[name] != there[name]} <= {"milliseconds"}


def test_explanations_let_others_go_first_and_predictions_do_not(
    explains: ImageClassifier, image: bytearray, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, seen = niceness(), list[tuple[int, bool]]()
    answer = explains._classifier.answer

    def watched(batch: Sequence[Any]) -> Any:
        seen.append((niceness(), threading.current_thread() is threading.main_thread()))
        return answer(batch)

    monkeypatch.setattr(explains._classifier, "answer", watched)
    for headers in ({}, {"explain": "True"}, {"explain": "True"}, {}):
        ask(explains, ({"body": image}, headers))
    assert seen == [(own, True), (NICENESS, False), (NICENESS, False), (own, True)]
    assert niceness() == own


def test_an_error_there_is_the_requests_own(explains: ImageClassifier, image: bytearray) -> None:
    (answer,), context = ask(explains, ({"body": image[:70]}, {"explain": "True"}))
    assert (answer["type"], context.statuses[0][0]) == ("DamagedImage", 422)
    answers, _ = ask(explains, ({"body": image}, {"explain": "True"}), ({"body": image}, {}))
    assert ["overlay_png" in answer for answer in answers] == [True, False]


@pytest.mark.parametrize(("batch_size", "said"), [(1, True), (32, False)])
def test_it_says_whether_it_takes_one_at_a_time(
    release: Release, caplog: pytest.LogCaptureFixture, batch_size: int, said: bool
) -> None:
    with caplog.at_level(logging.INFO, logger="handlers.entry"):
        loaded(release, batch_size)
    (line,) = [record.message for record in caplog.records if "explains" in record.message]
    assert line.startswith(ONE_AT_A_TIME) is said
    assert line.endswith(f"explanations have niceness {NICENESS}")
