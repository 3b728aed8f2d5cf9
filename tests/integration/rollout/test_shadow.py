"""A shadow on a real server: a version agrees with itself, and clients never notice."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from serving.rollout import record as records
from serving.rollout.plan import Plan
from serving.rollout.record import Record, Rollout
from serving.rollout.shadow import runner as runner_module
from serving.rollout.shadow.runner import ShadowRunner
from serving.torchserve.worker_roles import RoleCounts
from tests.support.server import Server
from tests.support.version_commands import run_ok

# The replayer and the explain workers use time that nobody else wants. Other tests may want it all.
PATIENCE_SECONDS = 180


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[Server]:
    """A server with 1.0 as default, and 2.0."""
    with Server(store, "--version", "1.0") as server:
        run_ok(server, "register", "--version", "2.0")
        yield server


@dataclass
class Shadow:
    runner: ShadowRunner
    record: Record
    temp: Path

    def pairs(self) -> list[dict[str, Any]]:
        lines = (self.record.folder / "shadow" / "pairs.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def replayer(self) -> int:
        assert self.runner._child is not None
        return self.runner._child.pid

    def wait(self, condition: Callable[[ShadowRunner], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition(self.runner):
            assert time.monotonic() < deadline, self.runner.summary()
            self.runner.start()
            time.sleep(0.1)


Start = Callable[..., Shadow]


@pytest.fixture
def start(server: Server) -> Iterator[Start]:
    """Start a shadow with a plan, and wait until the workers of the stable version are connected."""
    shadows: list[Shadow] = []

    def begin(**plan: Any) -> Shadow:
        status = server.instance.status()
        assert status is not None
        rollout = Rollout(
            id=f"digits-2.0-{time.time_ns()}",
            model="digits",
            stable="1.0",
            candidate="2.0",
            actor="test",
            started="",
            plan=Plan.model_validate({"shadow": {"share": 1.0, **plan}}),
            phase_since="",
        )
        record, temp = records.create(server.instance.folder, rollout), Path(status.temp)
        shadow = Shadow(ShadowRunner(server.instance, temp, record, RoleCounts.of(status)), record, temp)
        shadows.append(shadow)
        shadow.runner.start()
        socket = runner_module.socket_path(temp, "digits")
        shadow.wait(lambda runner: socket.exists())
        time.sleep(2.5)  # workers look for a listener once a second
        return shadow

    yield begin
    for shadow in shadows:
        shadow.runner.stop()


@dataclass
class Load:
    """Clients that send requests of all protocols without a pause."""

    url: str
    images: list[bytes]
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def send(self, number: int) -> requests.Response:
        """Send a request whose form depends on a number."""
        files = [self.images[(number + offset) % len(self.images)] for offset in range(1 + number % 3)]
        encoded = [base64.b64encode(file).decode() for file in files]
        tensor = {"name": "image", "shape": [len(files)], "datatype": "BYTES", "data": encoded}
        binary = number % 2 == 0
        native = f"{self.url}/predictions/digits"
        sends: list[Callable[[], requests.Response]] = [
            lambda: requests.post(native, data=files[0], headers={"X-Top-K": "2"}),
            lambda: requests.post(f"{self.url}/invocations", data=files[0]),
            lambda: requests.post(native, json={"image": encoded[0], "top_k": 10}),
            lambda: requests.post(native, files=[("image", file) for file in files]),
            lambda: requests.post(
                f"{self.url}/v1/models/digits:predict", json={"instances": [{"b64": text} for text in encoded]}
            ),
            lambda: requests.post(
                f"{self.url}/v2/models/digits/infer",
                json={"inputs": [tensor], "parameters": {"binary_data_output": binary}},
            ),
            lambda: requests.post(native, data=npy(), headers={"Content-Type": "application/x-npy"}),
            lambda: requests.post(native, data=files[0][:100]),
            lambda: requests.post(f"{native}?top_k=0", data=files[0]),
        ]
        return sends[number % len(sends)]()

    def run(self, numbers: Iterator[int], stop: threading.Event) -> None:
        """Send requests until the event is set."""
        for number in numbers:
            if stop.is_set():
                return
            started = time.monotonic()
            response = self.send(number)
            self.seconds.append(time.monotonic() - started)
            self.statuses[response.status_code] += 1


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).integers(0, 255, (2, 24, 24, 3), np.uint8))
    return buffer.getvalue()


def jpeg(content: bytes, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.convert("RGB").resize(size).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def load(server: Server, digit: dict[str, bytes]) -> Load:
    images = list(digit.values())
    images += [jpeg(image, (320, 240)) for image in images[:3]]
    return Load(server.url, images)


def under_load(load: Load, work: Callable[[], None], clients: int = 6) -> None:
    """Run `work` while clients send requests."""
    stop = threading.Event()
    with ThreadPoolExecutor(clients) as pool:
        numbers = [pool.submit(load.run, itertools.count(client), stop) for client in range(clients)]
        try:
            work()
        finally:
            stop.set()
        for client in numbers:
            client.result()


def test_a_version_agrees_with_itself_in_all_protocols(start: Start, load: Load) -> None:
    """The workers answer clients in batches of many sizes, and the copies one by one."""
    shadow = start(self_pairs=10_000)
    under_load(load, lambda: shadow.wait(lambda runner: runner.summary().self_pairs >= 90))
    pairs = shadow.pairs()
    assert [pair["difference"] for pair in pairs if "difference" in pair] == []
    assert shadow.runner.summary().self_differences == 0
    assert {tuple(pair["statuses"]) for pair in pairs} == {(200, 200), (400, 400), (422, 422)}
    assert {len(pair.get("images", [])) for pair in pairs} == {0, 1, 2, 3}
    assert load.statuses.keys() == {200, 400, 422}


def test_the_candidate_answers_and_explains_copies(start: Start, server: Server, load: Load) -> None:
    before = server.describe("/models/digits")
    shadow = start(self_pairs=5, explained=5, pairs=30, keep_images=3)
    under_load(load, lambda: shadow.wait(lambda runner: runner.summary().pairs >= 30), clients=2)
    shadow.runner.stop()
    summary = shadow.runner.summary()
    assert (summary.self_pairs, summary.self_differences, summary.status_differences) == (5, 0, 0)
    assert len(summary.correlations) >= 5
    assert all(-1 <= correlation <= 1 for correlation in summary.correlations)
    assert summary.images >= 30
    assert 0 < summary.largest_change <= 1
    assert summary.candidate_confidence != summary.stable_confidence
    folder = shadow.record.folder / "shadow"
    pictures = json.loads((folder / "pictures.json").read_text())
    for entry in pictures["maps"]:
        for side in ("stable", "candidate"):
            with Image.open(folder / "maps" / f"{entry['number']:02}-{side}.png") as image:
                assert image.format == "PNG"
    assert len(list((folder / "images").iterdir())) == len(pictures["images"]) <= 3
    assert server.describe("/models/digits")[0]["workers"][0]["pid"] == before[0]["workers"][0]["pid"]


def test_overload_drops_samples_and_loses_no_answer(start: Start, load: Load, digit: dict[str, bytes]) -> None:
    """A replayer that is stopped reads nothing, so workers' queues are full in a moment."""
    shadow = start(self_pairs=10_000)
    load.images = [jpeg(image, (1600, 1200)) for image in digit.values()]
    os.kill(shadow.replayer, signal.SIGSTOP)
    try:
        under_load(load, lambda: _wait_for(lambda: sum(load.statuses.values()) >= 400), clients=4)
        assert load.statuses.keys() == {200, 400, 422}
        assert max(load.seconds) < 10
    finally:
        os.kill(shadow.replayer, signal.SIGCONT)
    shadow.wait(lambda runner: runner.summary().dropped > 0)
    assert shadow.runner.summary().self_differences == 0


def test_a_killed_replayer_is_replaced_and_continues(start: Start, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "PAUSE_SECONDS", 0.5)
    shadow = start(self_pairs=10_000)

    def kill_twice() -> None:
        for _ in range(2):
            pairs = shadow.runner.summary().self_pairs
            shadow.wait(lambda runner: runner.summary().self_pairs >= pairs + 5)  # noqa: B023
            killed = shadow.replayer
            os.kill(killed, signal.SIGKILL)
            shadow.wait(lambda runner: shadow.replayer != killed)  # noqa: B023
        pairs = shadow.runner.summary().self_pairs
        shadow.wait(lambda runner: runner.summary().self_pairs >= pairs + 5)

    under_load(load, kill_twice, clients=2)
    shadow.runner.stop()
    summary = shadow.runner.summary()
    assert summary.self_differences == 0
    assert summary.self_pairs == len(shadow.pairs()), "no pair is lost or counted twice"
    assert load.statuses.keys() <= {200, 400, 422}


def test_the_file_of_a_killed_controller_does_no_harm(server: Server, start: Start, load: Load) -> None:
    shadow = start()
    path = runner_module.listener_file(shadow.temp, "digits")
    text = path.read_text()
    shadow.runner.stop()
    path.write_text(text)
    try:
        time.sleep(2.5)
        responses = [load.send(number) for number in range(9)]
    finally:
        path.unlink()
    assert {response.status_code for response in responses} == {200, 400, 422}
    assert all(status == "READY" for _, status in server.all_workers())


def test_requests_past_the_proxy_are_not_sampled(start: Start, server: Server, digit: dict[str, bytes]) -> None:
    shadow = start()
    headers = server.key("inference")
    for image in digit.values():
        response = requests.post(f"{server.direct}/predictions/digits", data=image, headers=headers, timeout=30)
        assert response.status_code == 200
    requests.post(f"{server.url}/predictions/digits", data=digit["3"], timeout=30)
    shadow.wait(lambda runner: runner.summary().sampled > 0)
    time.sleep(1)
    assert shadow.runner.summary().sampled == 1


def test_clients_cannot_mark_a_request_as_a_copy(server: Server, digit: dict[str, bytes]) -> None:
    marks = {"X-Torchlight-Maps": "1", "X-Torchlight-Shadow": "1"}
    response = requests.post(f"{server.url}/explanations/digits", data=digit["3"], headers=marks, timeout=60)
    assert response.headers["Content-Type"] == "application/json"


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
