"""Starvation: the latency of other clients while one client sends expensive requests.

    python -m benchmarks.attacks.starvation http://127.0.0.1:8080 digits samples/3.png

Two victims send a small image, each on one connection: one from the attacker's address, one from another. They are
measured without the attack and with it, in alternating rounds. The results are the ratios of the two.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

ATTACKER, OTHER = "127.0.0.1", "127.0.0.2"
ROUNDS = 2
SECONDS = 5.0
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Attack:
    """Requests of an attacker.

    Attributes:
        body: makes the body of all requests.
        connections: number of connections. Each sends the next request after the last response.
    """

    body: Callable[[], bytes]
    connections: int
    content_type: str = "application/octet-stream"
    route: str = "/predictions/{model}"


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of a victim's requests in milliseconds, and the number of responses with a status other than 200."""

    requests: int
    failures: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Starvation:
    """Figures of an attack: latencies by the victim's address, and the statuses that the attacker got."""

    attack: str
    before: dict[str, Latency]
    during: dict[str, Latency]
    statuses: dict[int, int]

    @property
    def ratios(self) -> dict[str, tuple[float, float]]:
        """Ratios of p50 and p99 with and without the attack, by address."""
        return {
            source: (with_.p50_ms / without.p50_ms, with_.p99_ms / without.p99_ms)
            for source, without in self.before.items()
            for with_ in (self.during[source],)
        }


@dataclass(slots=True)
class _Times:
    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    def latency(self) -> Latency:
        ms = np.array(self.seconds) * 1000
        p50, p99 = np.percentile(ms, (50, 99))
        return Latency(len(ms), self.failures, round(float(p50), 2), round(float(p99), 2))


def measure(
    url: str, model: str, image: bytes, name: str, *, rounds: int = ROUNDS, seconds: float = SECONDS
) -> Starvation:
    """Run one of ATTACKS and return the figures. Each round has `seconds` without the attack and `seconds` with it."""
    before, during = ({ATTACKER: _Times(), OTHER: _Times()} for _ in range(2))
    statuses = Counter[int]()
    attack = ATTACKS[name]
    attack.body()  # made before the measurement
    for _ in range(rounds):
        _victims(url, model, image, before, seconds)
        queue: multiprocessing.Queue[dict[int, int]] = multiprocessing.Queue()
        # A process of its own, so that the attacker's threads do not slow down the victims' threads.
        attacker = multiprocessing.Process(target=_attack, args=(url, model, name, seconds + 1, queue))
        attacker.start()
        time.sleep(1)
        _victims(url, model, image, during, seconds)
        statuses.update(queue.get(timeout=4 * TIMEOUT_SECONDS))
        attacker.join()
    return Starvation(
        name,
        {source: times.latency() for source, times in before.items()},
        {source: times.latency() for source, times in during.items()},
        dict(statuses),
    )


def _victims(url: str, model: str, image: bytes, times: dict[str, _Times], seconds: float) -> None:
    def victim(source: str) -> None:
        end = time.monotonic() + seconds
        connection = _connect(url, source)
        while time.monotonic() < end:
            start = time.perf_counter()
            status = _post(connection, f"/predictions/{model}", image, "application/octet-stream")
            times[source].seconds.append(time.perf_counter() - start)
            times[source].failures += status != 200
            time.sleep(0.01)
        connection.close()

    _together(lambda: victim(ATTACKER), lambda: victim(OTHER))


def _attack(url: str, model: str, name: str, seconds: float, queue: multiprocessing.Queue[dict[int, int]]) -> None:
    attack, statuses, end = ATTACKS[name], Counter[int](), time.monotonic() + seconds
    body, path = attack.body(), attack.route.format(model=model)

    def attacker() -> None:
        connection = _connect(url, ATTACKER)
        while time.monotonic() < end:
            statuses[_post(connection, path, body, attack.content_type)] += 1
        connection.close()

    _together(*[attacker] * attack.connections)
    queue.put(dict(statuses))


def _together(*calls: Callable[[], None]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _connect(url: str, source: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    return http.client.HTTPConnection(
        address.hostname or ATTACKER, address.port, timeout=TIMEOUT_SECONDS, source_address=(source, 0)
    )


def _post(connection: http.client.HTTPConnection, path: str, body: bytes, content_type: str) -> int:
    """Return the status; 0 if the connection broke. The next request opens it again."""
    try:
        connection.request("POST", path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0


# ---- bodies of the attacks


def _encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@cache
def tiny_webp() -> bytes:
    """Return a WebP of 5000 x 5000 pixels in about 1 kB."""
    return _encoded(Image.new("RGB", (5_000, 5_000), "white"), "WEBP", lossless=True)


@cache
def flat_png() -> bytes:
    """Return a PNG of 5000 x 5000 pixels with transparency in about 100 kB."""
    return _encoded(Image.new("RGBA", (5_000, 5_000), "white"), "PNG")


@cache
def brackets() -> bytes:
    """Return 8 MB of empty lists as the instances of a request."""
    return b'{"instances":[' + b"[]," * 2_666_000 + b"[]]}"


@cache
def large_jpeg() -> bytes:
    """Return a JPEG of about 4 MB."""
    pixels = np.frombuffer(Random(1).randbytes(1_500 * 1_500 * 3), np.uint8).reshape(1_500, 1_500, 3)
    return _encoded(Image.fromarray(pixels), "JPEG", quality=88)


@cache
def doubles() -> bytes:
    """Return a .npy file of 8 MB: one image of float64 pixels."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((1_000, 1_000), np.float64))
    return buffer.getvalue()


@cache
def text_png() -> bytes:
    """Return a PNG of 9 x 9 pixels with 40 kB of text that is 40 MB when it is inflated."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for number in range(40):
        info.add_text(f"key{number}", "a" * 1_000_000, zip=True)
    return _encoded(Image.new("RGB", (9, 9)), "PNG", pnginfo=info)


ATTACKS = {
    "WebP of 1 kB and 25 MP": Attack(tiny_webp, 2),
    "JSON of 8 MB of lists": Attack(brackets, 2, "application/json"),
    "JPEG of 4 MB": Attack(large_jpeg, 64),
    "PNG of 100 kB and 25 MP": Attack(flat_png, 2),
    "float64 array of 8 MB": Attack(doubles, 8),
    "PNG with 40 MB of text": Attack(text_png, 2),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of each attack as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="URL of the server, such as http://127.0.0.1:8080")
    parser.add_argument("model", help="name of a model of this server")
    parser.add_argument("image", type=Path, help="a small image for the victims")
    parser.add_argument(
        "--attack", choices=tuple(ATTACKS), action="append", help="run only this attack; may be repeated"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help=f"length of a round without and with the attack (default: {SECONDS:g})",
    )
    options = parser.parse_args(arguments)
    image = options.image.read_bytes()
    for name in options.attack or ATTACKS:
        figures = measure(options.url, options.model, image, name, seconds=options.seconds)
        worst = {source: [round(ratio, 2) for ratio in ratios] for source, ratios in figures.ratios.items()}
        print(json.dumps(asdict(figures) | {"ratios": worst}), flush=True)


if __name__ == "__main__":
    main()
