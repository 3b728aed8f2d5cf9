"""Golden answers over HTTP: the images that travel in an archive, asked of a server that runs it."""

from __future__ import annotations

from pathlib import Path

from models.golden import ANSWERS, FOLDER, MAX_BYTES, Golden, GoldenError, answers_of
from serving.artifacts import mar
from serving.client import Client, Prediction


def ask(client: Client, path: Path, model: str, version: str) -> list[tuple[bytes, Prediction]]:
    """Ask for each golden image of the .mar at `path` once, and compare; returns the images with their answers.

    Each is compared with the answers of the engine that gave it: of several workers one may have fallen back.

    Raises:
        ArchiveError: the archive is damaged, or lacks a golden image or its answer.
        GoldenError: an answer is another one, or the archive has none of that engine.
        ClientError: an image is not answered.
    """
    answered = []
    with mar.opened(path) as archive:
        for name, wanted in Golden.from_json(mar.read(archive, ANSWERS, MAX_BYTES)).probabilities.items():
            image = mar.read(archive, f"{FOLDER}/{name}", MAX_BYTES)
            answer = client.predict(model, image, version, top_k=len(wanted))
            if (answers := answers_of(answer.engine)) not in archive.namelist():
                raise GoldenError(f"{path.name} has no golden answers of engine {answer.engine!r}")
            expected = Golden.from_json(mar.read(archive, answers, MAX_BYTES))
            by_index = sorted(answer.predictions, key=lambda item: item.index)
            expected.check(name, [item.probability for item in by_index], [item.label for item in by_index])
            answered.append((image, answer))
    return answered
