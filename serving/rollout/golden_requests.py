"""Golden images as requests: they warm a version up, and compare its answers and its latency."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from models.golden import ANSWERS, FOLDER, MAX_BYTES, Golden
from serving.artifacts import mar
from serving.artifacts.store import Archive
from serving.rollout.interfaces import GoldenCheck
from torchlight_client import Client

# Latencies that are measured of each version, in full rounds of the golden images.
LATENCIES = 50


@dataclass(frozen=True, slots=True)
class HttpGoldenRequests:
    """The golden images of one server; `connect` makes a client of it."""

    connect: Callable[[], Client]
    check: GoldenCheck

    def warm_up(self, archive: Archive, requests: int) -> None:
        """Send so many predictions to the version of an archive, one after the other.

        Raises:
            ArchiveError: the archive is damaged.
            TorchlightError: an image is not answered.
        """
        images = golden_images(archive)
        with self.connect() as client:
            for number in range(requests):
                client.predict(archive.model, images[number % len(images)], archive.version)

    def latencies(self, archive: Archive, versions: tuple[str, str]) -> tuple[list[float], list[float]]:
        """Return the latencies of two versions in seconds. They take turns, so that other load meets both alike.

        Raises:
            ArchiveError: the archive is damaged.
            TorchlightError: an image is not answered.
        """
        images = golden_images(archive)
        images *= -(-LATENCIES // len(images))
        seconds: tuple[list[float], list[float]] = ([], [])
        with self.connect() as client:
            for image in images:
                for version, measured in zip(versions, seconds, strict=True):
                    start = time.perf_counter()
                    client.predict(archive.model, image, version)
                    measured.append(time.perf_counter() - start)
        return seconds


def golden_images(archive: Archive) -> list[bytes]:
    """Return the golden images of an archive.

    Raises:
        ArchiveError: the archive is damaged, or lacks a golden image.
    """
    with mar.opened(archive.path) as opened:
        names = Golden.from_json(mar.read(opened, ANSWERS, MAX_BYTES)).probabilities
        return [mar.read(opened, f"{FOLDER}/{name}", MAX_BYTES) for name in names]
