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
from benchmarks.compare.systems.peer import Plan
from benchmarks.compare.systems.programs import classifier
from handlers.modalities.image import images
from models import architectures
from models.card import Input

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def photo(width: int, height: int, kind: str = "JPEG") -> bytes:
    """Smooth colors, which two ways of resizing agree on."""
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
    command = Plan(folder / "python", model, "box", 1, folder, folder, 2).command()
    monkeypatch.setenv("PEER_MODEL", command.environment["PEER_MODEL"])
    return classifier.load()


def test_what_tutorials_do_gives_the_class_that_we_give(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = loaded(model, tmp_path, monkeypatch)
    pictures = [photo(120, 90), photo(60, 90, "PNG")]
    answers = asked.classify([asked.pixels(picture) for picture in pictures])

    ours = [images.pixels(images.decode(picture), spec(model)) for picture in pictures]
    network = architectures.build("cnn", **model.arguments).eval()
    network.load_state_dict(asked.network.state_dict())  # type: ignore[attr-defined]
    with torch.inference_mode():
        expected = torch.softmax(network(images.batch(ours, spec(model), torch.device("cpu"))), dim=1)
    assert [answer["index"] for answer in answers] == expected.argmax(1).tolist()
    assert [answer["probability"] for answer in answers] == pytest.approx(expected.amax(1).tolist(), abs=0.02)
    assert json.loads(json.dumps(answers)) == answers
    assert answers[0]["label"] in model.classes


@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_the_pixels_of_our_program_are_those_that_we_decode(model: Model, resize: str) -> None:
    asked = object.__new__(classifier.Compiled)
    classifier.Classifier.__init__(asked, {"resize": resize, "crop": model.crop, "size": model.size})
    expected = Input(size=24, resize=resize, crop=model.crop, mean=MEAN, std=STD)  # type: ignore[arg-type]
    for picture in (photo(40, 30, "PNG"), photo(31, 47, "PNG"), photo(1200, 900)):
        ours = images.pixels(images.picture(picture, expected), expected).permute(1, 2, 0).numpy()
        assert np.array_equal(asked.pixels(picture), ours)


def test_a_program_gets_no_more_rows_than_it_takes() -> None:
    sizes: list[int] = []

    def program(rows: torch.Tensor) -> tuple[torch.Tensor, None]:
        sizes.append(len(rows))
        return rows.float().mean((1, 2)), None

    asked = object.__new__(classifier.Compiled)
    asked.program = program
    assert asked.logits([np.full((4, 4, 3), value, np.uint8) for value in range(70)])[:, 0].tolist() == list(range(70))
    assert sizes == [64, 6]


def test_the_ceiling_counts_images_of_all_cores(model: Model) -> None:
    assert ceiling.measure(model, [photo(60, 40, "PNG")], 0.2, 1, engine=False) > 0


def test_there_is_no_ceiling_of_a_program_that_is_not_there(model: Model) -> None:
    with pytest.raises(ValueError, match="no compiled program"):
        ceiling.measure(model, [photo(60, 40)], 0.2, 1, engine=True)
