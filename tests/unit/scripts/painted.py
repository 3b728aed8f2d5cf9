"""Small releases and folders of images for the commands that measure, made without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from models import architectures
from models.card import UncertaintyCard
from models.release import WEIGHTS, sha256
from tests.unit.training.colors import NAMES, card


def release(
    root: Path,
    version: str,
    *,
    classes: tuple[str, ...] = NAMES,
    size: int = 8,
    uncertainty: UncertaintyCard | None = None,
    digest: str = "0" * 64,
) -> Path:
    """A cnn with fresh weights, the same for the same version."""
    torch.manual_seed(int(version.partition(".")[0]))
    arguments = {"image_size": size, "classes": len(classes)}
    network = architectures.build("cnn", **arguments)
    folder = root / "colors" / version
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / WEIGHTS)
    full_card = card(classes, uncertainty)
    full_card.model_copy(
        update={
            "version": version,
            "architecture": full_card.architecture.model_copy(update={"arguments": arguments}),
            "input": full_card.input.model_copy(update={"size": size}),
            "data": full_card.data.model_copy(update={"sha256": digest}),
            "digests": {WEIGHTS: sha256(folder / WEIGHTS)},
        }
    ).save(folder)
    return folder


def folder(root: Path, classes: tuple[str, ...] = NAMES, each: int = 10) -> Path:
    """`each` images of each class, no two the same."""
    generator = np.random.default_rng(len(classes))
    for index, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(each):
            pixels = generator.integers(0, 120, (10, 10, 3), dtype=np.uint8)
            pixels[..., index % 3] += 120
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root
