"""A split of traffic between two real versions: shares, sticky clients, counts, and changes under load."""

from __future__ import annotations

import base64
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import grpc
import pytest
import requests

from serving.grpc import open_inference_pb2 as pb
from serving.grpc.service import NAME
from serving.proxy import traffic_split
from serving.proxy.routing import SOCKET
from serving.proxy.traffic_split import Split, Sticky, TrafficSplits
from tests.support.server import Server
from tests.support.version_commands import run_ok

STABLE, CANDIDATE = "1.0", "2.0"
CLIENTS = 8
PREDICT = "/predictions/digits"

Ask = Callable[[requests.Session], str]
"""Sends one request and returns the version that answered."""


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[Server]:
    """A server with 1.0 as its default version, and 2.0."""
    with Server(store, "--version", STABLE) as running:
        run_ok(running, "register", "--version", CANDIDATE)
        yield running


@pytest.fixture
def splits(server: Server) -> Iterator[TrafficSplits]:
    """The splits of the server, which has none before and after a test."""
    status = server.instance.status()
    assert status is not None
    splits = TrafficSplits(server.instance.folder / traffic_split.FILE_NAME, Path(status.temp) / SOCKET)
    splits.clear("digits")
    yield splits
    splits.clear("digits")


def answered_by(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Model-Version"]


def post(server: Server, path: str, **sent: object) -> Ask:
    return lambda session: answered_by(session.post(server.url + path, timeout=60, **sent))  # type: ignore[arg-type]


def infer(channel: grpc.Channel, image: bytes, **metadata: str) -> Ask:
    """Return a gRPC call of a prediction."""
    request = pb.ModelInferRequest(model_name="digits")
    request.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.bytes_contents.append(image)
    call = channel.unary_unary(
        f"/{NAME}/ModelInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    sent = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
    return lambda session: str(call(request, timeout=60, metadata=sent).model_version)


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.ports.public}") as opened:
        yield opened


def versions_of(asks: Iterable[Ask]) -> Counter[str]:
    """Send requests from a few clients at once; return how many each version answered."""
    waiting: queue.SimpleQueue[Ask] = queue.SimpleQueue()
    for ask in asks:
        waiting.put(ask)
    versions: list[str] = []

    def client() -> None:
        session = requests.Session()
        while True:
            try:
                ask = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                versions.append(ask(session))
            except Exception as error:
                versions.append(repr(error))

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return Counter(versions)


def assert_share(versions: Counter[str], share: float) -> None:
    """Check that the share of the candidate is within 1 point."""
    assert versions.keys() <= {STABLE, CANDIDATE}, versions
    assert abs(versions[CANDIDATE] / versions.total() - share) <= 0.01, versions


def assert_counted(splits: TrafficSplits, before: Sequence[object], versions: Counter[str]) -> None:
    """Check that the proxy counted the requests that were sent, and no error."""
    for version, earlier in zip((STABLE, CANDIDATE), before, strict=True):
        counted = splits.counts("digits", version) - earlier  # type: ignore[operator]
        assert (counted.requests, counted.errors) == (versions[version], 0)
        assert sum(counted.latencies.values()) == versions[version]


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_share_holds_over_4000_predictions(
    server: Server, splits: TrafficSplits, digit: dict[str, bytes], share: float
) -> None:
    before = [splits.counts("digits", version) for version in (STABLE, CANDIDATE)]
    splits.set("digits", Split(CANDIDATE, share))
    versions = versions_of([post(server, PREDICT, data=digit["3"])] * 4_000)
    assert_share(versions, share)
    assert_counted(splits, before, versions)


def test_share_holds_over_4000_requests_on_all_routes(
    server: Server, splits: TrafficSplits, digit: dict[str, bytes], channel: grpc.Channel
) -> None:
    encoded = base64.b64encode(digit["3"]).decode()
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [encoded]}
    routes = [
        post(server, PREDICT, data=digit["3"]),
        post(server, PREDICT, files={"image": digit["3"]}),
        post(server, "/v1/models/digits:predict", json={"instances": [{"b64": encoded}]}),
        post(server, "/v2/models/digits/infer", json={"inputs": [tensor]}),
        post(server, "/invocations", data=digit["3"]),
        post(server, "/endpoints/digits/invocations", data=digit["3"]),
        infer(channel, digit["3"]),
    ]
    explanations = [
        post(server, "/explanations/digits?method=gradcam", data=digit["3"]),
        post(server, "/v1/models/digits:explain", json={"instances": [{"b64": encoded}]}),
        post(server, "/v2/models/digits/explain", json={"inputs": [tensor]}),
    ]
    before = [splits.counts("digits", version) for version in (STABLE, CANDIDATE)]
    splits.set("digits", Split(CANDIDATE, 0.1))
    versions = versions_of([*(routes * 563), *(explanations * 20)])
    assert versions.total() >= 4_000
    assert_share(versions, 0.1)
    assert_counted(splits, before, versions)
    splits.set("digits", Split(CANDIDATE, 1.0))
    for ask in (*routes, *explanations):
        assert ask(requests.Session()) == CANDIDATE


def test_client_id_keeps_a_client_with_one_version_over_http_and_grpc(
    server: Server, splits: TrafficSplits, digit: dict[str, bytes], channel: grpc.Channel
) -> None:
    splits.set("digits", Split(CANDIDATE, 0.5, Sticky.HEADER))
    versions = set()
    for number in range(30):
        client = f"client {number}"
        asks = [
            post(server, PREDICT, data=digit["3"], headers={"X-Client-Id": client}),
            post(server, "/invocations", data=digit["3"], headers={"x-client-id": client}),
            infer(channel, digit["3"], x_client_id=client),
        ]
        by_client = versions_of(asks)
        assert len(by_client) == 1
        versions |= by_client.keys()
    assert versions == {STABLE, CANDIDATE}


def test_cookie_keeps_a_client_with_one_version_over_http_and_grpc(
    server: Server, splits: TrafficSplits, digit: dict[str, bytes], channel: grpc.Channel
) -> None:
    splits.set("digits", Split(CANDIDATE, 0.5, Sticky.COOKIE))
    versions = set()
    for _ in range(20):
        session, ask = requests.Session(), post(server, PREDICT, data=digit["3"])
        version = ask(session)
        assert [ask(session) for _ in range(3)] == [version] * 3
        cookie = f"torchlight-client={session.cookies['torchlight-client']}"
        assert infer(channel, digit["3"], cookie=cookie)(session) == version
        versions.add(version)
    assert versions == {STABLE, CANDIDATE}


def test_named_version_answers_whatever_the_share(
    server: Server, splits: TrafficSplits, digit: dict[str, bytes], channel: grpc.Channel
) -> None:
    splits.set("digits", Split(CANDIDATE, 1.0))
    before = [splits.counts("digits", version) for version in (STABLE, CANDIDATE)]
    by_header = {"X-Model-Version": STABLE}
    asks = [
        post(server, PREDICT, data=digit["3"], headers=by_header),
        post(server, f"{PREDICT}/{STABLE}", data=digit["3"]),
        post(server, "/invocations", data=digit["3"], headers=by_header),
        post(server, "/endpoints/digits/invocations", data=digit["3"], headers=by_header),
        infer(channel, digit["3"], x_model_version=STABLE),
    ]
    assert versions_of(asks) == {STABLE: len(asks)}
    assert [splits.counts("digits", version) for version in (STABLE, CANDIDATE)] == before


def test_errors_of_clients_are_no_errors_of_a_version(
    server: Server, splits: TrafficSplits, digit: dict[str, bytes]
) -> None:
    splits.set("digits", Split(CANDIDATE, 1.0))
    before = splits.counts("digits", CANDIDATE)
    assert requests.post(server.url + PREDICT, data=b"no image", timeout=30).status_code == 415
    explained = requests.post(
        f"{server.url}/explanations/digits", data=digit["3"], headers={"X-Explain-Method": "magic"}, timeout=30
    )
    assert explained.status_code == 400
    counted = splits.counts("digits", CANDIDATE) - before
    assert (counted.requests, counted.errors) == (2, 0)


def test_referred_image_is_counted(server: Server, splits: TrafficSplits) -> None:
    splits.set("digits", Split(CANDIDATE, 1.0))
    before = splits.counts("digits", CANDIDATE)
    board = [[255 * (((row // 3) + (column // 3)) % 2) for column in range(24)] for row in range(24)]
    for path in ("/v1/models/digits:predict", "/v1/models/digits:explain"):
        answer = requests.post(server.url + path, json={"instances": [board]}, timeout=60)
        assert "refer" in answer.text
        assert "X-Torchlight-Referred" not in answer.headers
    assert (splits.counts("digits", CANDIDATE) - before).referred == 2


class Load:
    """Requests from a few clients until the end of a `with` block; `answers` has the end and version of each."""

    def __init__(self, server: Server, image: bytes) -> None:
        self._ask = post(server, PREDICT, data=image)
        self._stop = threading.Event()
        self.answers: list[tuple[float, str]] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        session = requests.Session()
        while not self._stop.is_set():
            try:
                version = self._ask(session)
            except Exception as error:
                self.failures.append(repr(error))
            else:
                self.answers.append((time.monotonic(), version))


def test_no_request_is_lost_while_the_split_changes(
    server: Server, splits: TrafficSplits, digit: dict[str, bytes]
) -> None:
    with Load(server, digit["3"]) as load:
        for number in range(100):
            share = (number % 10) / 10
            splits.set("digits", Split(CANDIDATE, share, list(Sticky)[number % 3], slow_seconds=share or None))
            time.sleep(0.02)
            splits.clear("digits")
    assert load.failures == []
    assert {version for _, version in load.answers} == {STABLE, CANDIDATE}


def test_candidate_answers_for_less_than_a_second_after_its_split_is_cleared(
    server: Server, splits: TrafficSplits, digit: dict[str, bytes]
) -> None:
    with Load(server, digit["3"]) as load:
        for _ in range(5):
            splits.set("digits", Split(CANDIDATE, 0.5))
            time.sleep(1.0)
            cleared = time.monotonic()
            splits.clear("digits")
            time.sleep(1.5)
            late = [end - cleared for end, version in load.answers if end > cleared and version == CANDIDATE]
            assert max(late, default=0.0) <= 1.0
    assert load.failures == []
    assert {version for _, version in load.answers} == {STABLE, CANDIDATE}
