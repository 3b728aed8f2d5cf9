"""Golden answers over HTTP: the images that travel in an archive, asked of a server that runs it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from models.golden import ANSWERS, FOLDER, Golden, GoldenError, answers_of
from serving.client import Client, Prediction


def ask(client: Client, mar: Path, model: str, version: str) -> list[tuple[bytes, Prediction]]:
    """Ask for each golden image of `mar` once, and compare; returns the images with their answers.

    Each is compared with the answers of the engine that gave it: of several workers one may have fallen back.

    Raises:
        GoldenError: an answer is another one, or the archive has none of that engine.
        ClientError: an image is not answered.
    """
    answered = []
    with zipfile.ZipFile(mar) as archive:
        for name, wanted in Golden.from_json(archive.read(ANSWERS)).probabilities.items():
            image = archive.read(f"{FOLDER}/{name}")
            answer = client.predict(model, image, version, top_k=len(wanted))
            try:
                expected = Golden.from_json(archive.read(answers_of(answer.engine)))
            except KeyError:
                raise GoldenError(f"{mar.name} has no golden answers of engine {answer.engine!r}") from None
            by_index = sorted(answer.predictions, key=lambda item: item.index)
            expected.check(name, [item.probability for item in by_index], [item.label for item in by_index])
            answered.append((image, answer))
    return answered
