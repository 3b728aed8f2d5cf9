"""Workers that explain, and one for single predictions: what they say, and what goes before them."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest

from handlers.torchserve_handler import (
    EXPLAINS,
    LOADING_NICENESS,
    NICENESS,
    READY_FOR_UNBATCHED,
    UNBATCHED,
    ImageClassifier,
)
from models.release import Release
from tests.unit.handlers.torchserve.stand_in import Context, ask

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def niced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads that were told to let others go first; none really is, since not everybody may take that back."""
    told: list[int] = []

    def set_priority(which: int, thread: int, niceness: int) -> None:
        assert which == os.PRIO_PROCESS
        if niceness == LOADING_NICENESS:
            assert thread != os.getpid(), "the main thread answers, and keeps its priority"
            return
        assert niceness == NICENESS
        told.append(thread)

    monkeypatch.setattr(os, "nice", lambda by: told.append(os.getpid()) if by == NICENESS else None)
    monkeypatch.setattr(os, "setpriority", set_priority)
    return told


def loaded(release: Release, role: str, batch_size: int = 1) -> ImageClassifier:
    handler = ImageClassifier()
    handler.initialize(Context(str(release.folder), model_name=f"digits{role}", batch_size=batch_size))
    return handler


@pytest.mark.slow
@pytest.mark.parametrize("role", [EXPLAINS, UNBATCHED])
def test_explain_workers_predict_like_predict_workers(
    release: Release, handler: ImageClassifier, image: bytearray, niced: list[int], role: str
) -> None:
    beside = loaded(release, role)
    for headers in ({}, {"explain": "True"}, {"x-top-k": "2"}):
        request: tuple[dict[str, Any], dict[str, Any]] = ({"body": image}, headers)
        (here,), (there,) = ask(beside, request)[0], ask(handler, request)[0]
        assert here.keys() == there.keys()
        assert {name for name in here if here[name] != there[name]} <= {"milliseconds"}


@pytest.mark.parametrize("role", ["", EXPLAINS, UNBATCHED])
def test_all_threads_of_those_that_explain_let_others_go_first(release: Release, niced: list[int], role: str) -> None:
    loaded(release, role)
    if role == EXPLAINS:
        assert os.getpid() in niced
        assert len(set(niced)) > 1, "that of the metrics too"
    else:
        assert niced == []


@pytest.mark.parametrize(
    ("role", "batch_size", "said"),
    [("", 1, []), (EXPLAINS, 1, []), (UNBATCHED, 1, [READY_FOR_UNBATCHED]), (UNBATCHED, 32, [])],
)
def test_unbatched_worker_reports_ready_only_with_batch_size_one(
    release: Release, caplog: pytest.LogCaptureFixture, niced: list[int], role: str, batch_size: int, said: list[str]
) -> None:
    with caplog.at_level(logging.INFO, logger="handlers.torchserve_handler"):
        loaded(release, role, batch_size)
    assert [record.message for record in caplog.records if "single" in record.message] == said
