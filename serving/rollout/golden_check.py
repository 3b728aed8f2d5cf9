"""Golden check over HTTP: a server that runs an archive answers its golden images, and the answers are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.golden import ANSWERS, FOLDER, MAX_BYTES, Golden, GoldenError, answers_of
from serving.artifacts import mar
from serving.artifacts.store import Archive
from torchlight_client import Client, Prediction


@dataclass(frozen=True, slots=True)
class HttpGoldenCheck:
    """The golden check of one server; `connect` makes a client of it."""

    connect: Callable[[], Client]

    def __call__(self, archive: Archive) -> int:
        """Check a version that the server runs, and return the number of golden images.

        Raises:
            ArchiveError: the archive is damaged, or lacks a golden image or its answer.
            GoldenError: an answer differs.
            TorchlightError: an image is not answered.
        """
        with self.connect() as client:
            return len(predict_golden(client, archive.path, archive.model, archive.version))


def predict_golden(client: Client, path: Path, model: str, version: str) -> list[tuple[bytes, Prediction]]:
    """Predict each golden image of the .mar at `path` once, compare, and return the images with their predictions.

    A prediction is compared with the answers of the engine that made it: one of several workers may have fallen back.

    Raises:
        ArchiveError: the archive is damaged, or lacks a golden image or its answer.
        GoldenError: an answer differs, or the archive has no answers of that engine.
        TorchlightError: an image is not answered.
    """
    predictions = []
    with mar.opened(path) as archive:
        for name, probabilities in Golden.from_json(mar.read(archive, ANSWERS, MAX_BYTES)).probabilities.items():
            image = mar.read(archive, f"{FOLDER}/{name}", MAX_BYTES)
            prediction = client.predict(model, image, version, top_k=len(probabilities))
            if (answers := answers_of(prediction.engine)) not in archive.namelist():
                raise GoldenError(f"{path.name} has no golden answers of engine {prediction.engine!r}")
            expected = Golden.from_json(mar.read(archive, answers, MAX_BYTES))
            by_index = sorted(prediction.predictions, key=lambda item: item.index)
            expected.check(name, [item.probability for item in by_index], [item.label for item in by_index])
            predictions.append((image, prediction))
    return predictions
