from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from models import golden
from models.golden import Golden
from serving.errors import ArchiveError
from serving.tune.reference_requests import ReferenceImage, predict_references
from torchlight_client import Class, Client, Prediction

EXPECTED = {"00.png": [0.9, 0.1], "01.png": [0.2, 0.8]}
IMAGES = {"00.png": b"zero", "01.png": b"one"}


class Answering(Client):
    """Answers the golden images by a table, and everything else as the second."""

    def __init__(self, probabilities: dict[bytes, list[float]], engine: str = "eager") -> None:
        super().__init__("http://127.0.0.1:1")
        self._table, self._engine = probabilities, engine

    def predict(self, model: str, image: object, version: str | None = None, **options: object) -> Prediction:  # type: ignore[override]
        assert isinstance(image, bytes)
        values = self._table.get(image, [0.0, 1.0])
        classes = [Class(label, index, value) for index, (label, value) in enumerate(zip("ab", values, strict=True))]
        best_first = tuple(sorted(classes, key=lambda item: -item.probability))
        return Prediction(model=model, version="1", request_id="", engine=self._engine, predictions=best_first, raw={})


def archive(path: Path, **engines: dict[str, list[float]]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, content in IMAGES.items():
            out.writestr(f"{golden.FOLDER}/{name}", content)
        for engine, answers in ({"eager": EXPECTED} | engines).items():
            out.writestr(golden.answers_of(engine), Golden(golden.tolerance_of(engine), answers).to_json())
    return path


def test_the_golden_images_are_asked_and_their_answers_known(tmp_path: Path) -> None:
    client = Answering({b"zero": [0.901, 0.099], b"one": [0.2, 0.8]})
    references = predict_references(client, archive(tmp_path / "m.mar"), "m", "1")
    assert [(reference.image, reference.label, reference.probability) for reference in references.images] == [
        (b"zero", "a", 0.901),
        (b"one", "b", 0.8),
    ]
    assert (references.engine, references.tolerance) == ("eager", golden.TOLERANCE)


def test_a_model_that_answers_a_golden_image_otherwise_is_not_tuned(tmp_path: Path) -> None:
    client = Answering({b"zero": [0.9, 0.1], b"one": [0.6, 0.4]})
    with pytest.raises(ArchiveError, match=r"m cannot be tuned: golden image 01\.png: class"):
        predict_references(client, archive(tmp_path / "m.mar"), "m", "1")


def test_a_compiled_program_is_compared_with_its_own_answers(tmp_path: Path) -> None:
    own = {"00.png": [0.85, 0.15], "01.png": [0.25, 0.75]}
    client = Answering({b"zero": [0.85, 0.15], b"one": [0.25, 0.75]}, engine="cpu-int8")
    references = predict_references(client, archive(tmp_path / "m.mar", **{"cpu-int8": own}), "m", "1")
    assert (references.engine, references.tolerance) == ("cpu-int8", golden.COARSE_TOLERANCE)


def test_other_images_are_asked_instead(tmp_path: Path) -> None:
    (tmp_path / "a.PNG").write_bytes(b"mine")
    client = Answering({b"zero": [0.9, 0.1], b"one": [0.2, 0.8]})
    references = predict_references(client, archive(tmp_path / "m.mar"), "m", "1", [tmp_path / "a.PNG"])
    assert [(reference.image, reference.label) for reference in references.images] == [(b"mine", "b")]


def test_a_reference_request_is_a_complete_http_request() -> None:
    request = ReferenceImage(b"\x00image", "a", 0.5).request("/predictions/m/2")
    head, _, body = request.content.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /predictions/m/2 HTTP/1.1"
    assert b"Content-Length: 6" in head
    assert body == b"\x00image"
