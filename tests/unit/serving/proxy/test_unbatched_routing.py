from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import Unreachable
from serving.proxy.routing import Routing
from serving.proxy.unbatched_routing import READY, UnbatchedRouting
from serving.torchserve.worker_roles import Role

Child = subprocess.Popen[bytes]


class ProxyClient(Routing):
    """Remembers which unbatched are open."""

    def __init__(self) -> None:
        super().__init__(Path(), Path())
        self._api.command = self._command
        self.open: list[str] = []
        self.answers = True

    def _command(self, command: str) -> str:
        if not self.answers:
            raise Unreachable("no")
        verb, _, name, key, *_ = command.split()
        assert name == "unbatched.map"
        if verb == "add":
            assert key not in self.open
            self.open.append(key)
        else:
            self.open.remove(key)
        return ""


def log(message: str, *, name: str = "digits-unbatched_1.0", worker: int = 9002) -> str:
    return f"2026-11-26T15:39:37,671 INFO  [W-{worker}-{name}-stdout] MODEL_LOG - {message}"


@pytest.fixture
def child() -> Iterator[Child]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        yield running
        end(running)


def end(child: Child) -> None:
    child.kill()
    child.wait()


def test_unbatched_routing_is_open_while_an_unbatched_worker_is_up(child: Child) -> None:
    unbatched, proxy = UnbatchedRouting(), ProxyClient()
    unbatched.feed(log(f"[PID]{child.pid}"))
    unbatched.reconcile(proxy)
    assert proxy.open == [], "it is still loading"
    unbatched.feed(log(READY))
    for _ in range(2):
        unbatched.reconcile(proxy)
        assert proxy.open == ["digits/1.0"]
    end(child)
    for _ in range(2):
        unbatched.reconcile(proxy)
        assert proxy.open == []


def test_unbatched_routing_stays_open_while_a_second_worker_lives_and_reopens_with_a_new_one(child: Child) -> None:
    unbatched, proxy = UnbatchedRouting(), ProxyClient()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as second:
        for worker, process in ((9002, child), (9003, second)):
            unbatched.feed(log(f"[PID]{process.pid}", worker=worker))
            unbatched.feed(log(READY, worker=worker))
        unbatched.reconcile(proxy)
        end(second)
        unbatched.reconcile(proxy)
        assert proxy.open == ["digits/1.0"]
    end(child)
    unbatched.reconcile(proxy)
    assert proxy.open == []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as again:
        unbatched.feed(log(f"[PID]{again.pid}"))
        unbatched.feed(log(READY))
        unbatched.reconcile(proxy)
        assert proxy.open == ["digits/1.0"]
        end(again)


@pytest.mark.parametrize(
    "lines",
    [
        [log("[PID]{pid}"), log("this worker explains, at niceness 19")],
        [log("[PID]{pid}", name="digits_1.0"), log(READY, name="digits_1.0")],
        [log("[PID]{pid}", worker=9001), log(READY, worker=9002)],
        [log(READY)],
        ["", "[PID]{pid}", READY, "W-9002-digits-unbatched_1.0-stdout MODEL_LOG - [PID]{pid}"],
    ],
    ids=["does not say so", "predicts", "another worker", "no process", "nonsense"],
)
def test_unbatched_routing_ignores_other_lines(child: Child, lines: list[str]) -> None:
    unbatched, proxy = UnbatchedRouting(), ProxyClient()
    for line in lines:
        unbatched.feed(line.replace("{pid}", str(child.pid)))
    unbatched.reconcile(proxy)
    assert proxy.open == []


def test_names_with_dashes_and_versions_with_dots_are_kept_apart(child: Child) -> None:
    unbatched, proxy = UnbatchedRouting(), ProxyClient()
    unbatched.feed(log(f"[PID]{child.pid}", name="my_own-model-unbatched_2.10.3"))
    unbatched.feed(log(READY, name="my_own-model-unbatched_2.10.3"))
    unbatched.reconcile(proxy)
    assert proxy.open == ["my_own-model/2.10.3"]


def test_unbatched_routing_repeats_an_update_that_failed(child: Child) -> None:
    unbatched, proxy = UnbatchedRouting(), ProxyClient()
    unbatched.feed(log(f"[PID]{child.pid}"))
    unbatched.feed(log(READY))
    proxy.answers = False
    with pytest.raises(Unreachable):
        unbatched.reconcile(proxy)
    proxy.answers = True
    unbatched.reconcile(proxy)
    assert proxy.open == ["digits/1.0"]


def test_ready_line_is_the_same_in_the_handler() -> None:
    from handlers.torchserve_handler import READY_FOR_UNBATCHED, UNBATCHED

    assert (Role.UNBATCHED.suffix, READY) == (UNBATCHED, READY_FOR_UNBATCHED)
