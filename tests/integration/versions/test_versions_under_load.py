"""Versions change under steady load, and no request is lost."""

from __future__ import annotations

import threading
import time

import requests

from serving.proxy import routing
from tests.support.server import Server
from tests.support.version_commands import run_ok


class Load:
    """So many requests a second until the end of a `with` block; the default version before and after each is noted."""

    def __init__(self, server: Server, image: bytes, rate: float) -> None:
        self._server, self._image, self._rate = server, image, rate
        self._stop = threading.Event()
        self.answers: list[tuple[set[str], str]] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(5)]
        self._map = server.instance.folder / routing.FILE_NAME

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        session = requests.Session()
        interval = len(self._threads) / self._rate
        due = time.monotonic() + number * interval / len(self._threads)
        while not self._stop.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            due += interval
            before = routing.read(self._map)["digits"]
            try:
                answer = session.post(f"{self._server.url}/predictions/digits", data=self._image, timeout=30)
                version = answer.headers["X-Model-Version"]
                label = answer.json()["predictions"][0]["label"]
                assert (answer.status_code, label) == (200, "7")
            except Exception as error:
                self.failures.append(repr(error))
                continue
            # The map changes on disk a moment before it does at run time, so both may answer around a change.
            self.answers.append(({self._last, before, routing.read(self._map)["digits"]}, version))

    _last = "1.0"


def test_versions_change_under_load_and_no_request_is_lost(served: Server, digit: dict[str, bytes]) -> None:
    """50 requests a second through two promotions, a retirement and a rollback; at least 5,000 in all."""
    began = time.monotonic()
    with Load(served, digit["7"], rate=50) as load:
        changes: list[tuple[str, ...]] = [
            ("register", "--version", "2.0"),
            ("promote", "--version", "2.0"),
            ("retire", "--version", "1.0"),
            ("register", "--version", "3.0"),
            ("promote", "--version", "3.0"),
            ("rollback",),
        ]
        for change in changes:
            run_ok(served, *change)
            load._last = routing.read(served.instance.folder / routing.FILE_NAME)["digits"]
            time.sleep(5)
        while len(load.answers) < 5_000 and time.monotonic() - began < 200:
            time.sleep(0.5)
    assert load.failures == []
    assert len(load.answers) >= 5_000
    wrong = [(allowed, version) for allowed, version in load.answers if version not in allowed]
    assert wrong == []
    assert {version for _, version in load.answers} == {"1.0", "2.0", "3.0"}
