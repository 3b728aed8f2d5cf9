from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.compare.measurements import ceiling
from benchmarks.compare.systems import Model
from benchmarks.compare.systems.peer import LaunchPlan
from benchmarks.compare.systems.programs import classifier
from handlers.modalities.image import images
from models import architectures
from models.card import Input

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def photo(width: int, height: int, kind: str = "JPEG") -> bytes:
    """Return smooth colors, for which two kinds of resize agree."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    out = io.BytesIO()
    Image.fromarray(np.stack([across, down, 255 - across], axis=2).astype(np.uint8)).save(out, kind, quality=95)
    return out.getvalue()


@pytest.fixture
def model(tmp_path: Path) -> Model:
    torch.manual_seed(0)
    arguments = {"image_size": 24, "classes": 3}
    save_file(architectures.build("cnn", **arguments).state_dict(), tmp_path / "weights.safetensors")
    weights = tmp_path / "weights.safetensors"
    return Model("m", "cnn", arguments, weights, None, 24, "crop", 0.875, MEAN, STD, ("cat", "dog", "cow"))


def spec(model: Model) -> Input:
    return Input(size=model.size, resize=model.resize, crop=model.crop, mean=MEAN, std=STD)


def loaded(model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> classifier.Classifier:
    command = LaunchPlan(folder / "python", model, "default", 1, folder, folder, 2).command()
    monkeypatch.setenv("PEER_MODEL", command.environment["PEER_MODEL"])
    return classifier.load()


def test_transforms_of_the_tutorials_give_the_same_class_as_torchlight(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = loaded(model, tmp_path, monkeypatch)
    photos = [photo(120, 90), photo(60, 90, "PNG")]
    predictions = peer.classify([peer.pixels(image) for image in photos])

    inputs = [images.pixels(images.decode(image), spec(model)) for image in photos]
    network = architectures.build("cnn", **model.arguments).eval()
    network.load_state_dict(peer.network.state_dict())  # type: ignore[attr-defined]
    with torch.inference_mode():
        expected = torch.softmax(network(images.batch(inputs, spec(model), torch.device("cpu"))), dim=1)
    assert [prediction["index"] for prediction in predictions] == expected.argmax(1).tolist()
    assert [prediction["probability"] for prediction in predictions] == pytest.approx(
        expected.amax(1).tolist(), abs=0.02
    )
    assert json.loads(json.dumps(predictions)) == predictions
    assert predictions[0]["label"] in model.classes


@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_pixels_in_the_engine_mode_equal_those_of_torchlight(model: Model, resize: str) -> None:
    peer = object.__new__(classifier.Compiled)
    classifier.Classifier.__init__(peer, {"resize": resize, "crop": model.crop, "size": model.size})
    expected = Input(size=24, resize=resize, crop=model.crop, mean=MEAN, std=STD)  # type: ignore[arg-type]
    for image in (photo(40, 30, "PNG"), photo(31, 47, "PNG"), photo(1200, 900)):
        inputs = images.pixels(images.picture(image, expected), expected).permute(1, 2, 0).numpy()
        assert np.array_equal(peer.pixels(image), inputs)


def test_program_gets_at_most_its_maximum_batch() -> None:
    sizes: list[int] = []

    def program(rows: torch.Tensor) -> tuple[torch.Tensor, None]:
        sizes.append(len(rows))
        return rows.float().mean((1, 2)), None

    peer = object.__new__(classifier.Compiled)
    peer.program = program
    assert peer.logits([np.full((4, 4, 3), value, np.uint8) for value in range(70)])[:, 0].tolist() == list(range(70))
    assert sizes == [64, 6]


@pytest.mark.slow
def test_ceiling_counts_images_of_all_cores(model: Model) -> None:
    assert ceiling.measure(model, [photo(60, 40, "PNG")], 0.2, 1, compiled=False) > 0


def test_ceiling_of_a_missing_program_is_an_error(model: Model) -> None:
    with pytest.raises(ValueError, match="no compiled program"):
        ceiling.measure(model, [photo(60, 40)], 0.2, 1, compiled=True)
