"""What all servers do with an image: bytes -> one input -> a batch -> the top class of each, in either mode."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

# The long side that ours never decodes a JPEG to less than: the work is to be the same.
VIEW_SIDE = 512
# The most that a compiled program takes at once.
MAX_ROWS = 64


# The answer about one image, as JSON: index, label, probability. A TypedDict would say so, but not to pydantic on 3.11.
Prediction = dict[str, Any]


class Classifier:
    """The model of one worker. A subclass says how it is run.

    Args:
        model: what `described` gives.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self.size: int = model["size"]
        self.canvas = self.size
        if model["resize"] == "crop":  # the same margin on each side: 256 for 224
            self.canvas += 2 * round((self.size / model["crop"] - self.size) / 2)

    def pixels(self, image: bytes) -> Any:
        """An encoded image -> one input of `logits`."""
        raise NotImplementedError

    def logits(self, inputs: Sequence[Any]) -> torch.Tensor:
        """Inputs of N images -> float32 (N, classes)."""
        raise NotImplementedError

    def classify(self, inputs: Sequence[Any]) -> list[Prediction]:
        """Inputs of N images -> N answers."""
        with torch.inference_mode():
            probabilities, indices = torch.softmax(self.logits(inputs), dim=1).max(dim=1)
        classes = self.model["classes"]
        return [
            {"index": index, "label": classes[index], "probability": probability}
            for index, probability in zip(indices.tolist(), probabilities.tolist(), strict=True)
        ]


class Eager(Classifier):
    """Out of the box: the network as it is, in float32, and the transforms of every tutorial.

    These are Resize, CenterCrop, ToTensor and Normalize, done with Pillow and torch as torchvision does them: its wheel
    on the package index needs the CUDA build of torch.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        from safetensors.torch import load_file

        from models import architectures

        super().__init__(model)
        self.network = architectures.build(model["architecture"], **model["arguments"])
        self.network.load_state_dict(load_file(model["weights"]))
        self.network.eval()
        self.mean = torch.tensor(model["mean"]).view(3, 1, 1)
        self.std = torch.tensor(model["std"]).view(3, 1, 1)

    def pixels(self, image: bytes) -> torch.Tensor:
        """Float32 (3, size, size), normalized."""
        picture = Image.open(io.BytesIO(image)).convert("RGB")
        if self.model["resize"] == "crop":
            scale = self.canvas / min(picture.size)
            picture = picture.resize(
                (int(picture.width * scale), int(picture.height * scale)), Image.Resampling.BILINEAR
            )
            left, top = round((picture.width - self.size) / 2), round((picture.height - self.size) / 2)
            picture = picture.crop((left, top, left + self.size, top + self.size))
        else:
            picture = picture.resize((self.size, self.size), Image.Resampling.BILINEAR)
        tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float() / 255
        return (tensor - self.mean) / self.std

    def logits(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """One forward pass."""
        logits: torch.Tensor = self.network(torch.stack(list(inputs)))
        return logits


class Compiled(Classifier):
    """Our compiled program, and Pillow as in handlers/modalities/image/images.py: scaled JPEG decode, crop, resize."""

    def __init__(self, model: dict[str, Any]) -> None:
        from torch._inductor import aoti_load_package

        super().__init__(model)
        torch.set_num_threads(1)
        self.program = aoti_load_package(model["engine"])

    def pixels(self, image: bytes) -> np.ndarray:
        """uint8 (size, size, 3)."""
        file = Image.open(io.BytesIO(image))
        if file.format == "JPEG":
            least = max(2 * self.canvas / min(file.size), VIEW_SIDE / max(file.size))
            file.draft(file.mode, (math.ceil(file.width * least), math.ceil(file.height * least)))
        picture = file.convert("RGB")
        box: tuple[float, float, float, float] = (0, 0, *picture.size)
        if self.model["resize"] == "crop":
            side = min(picture.size) * self.size / self.canvas
            left, top = (picture.width - side) / 2, (picture.height - side) / 2
            box = (left, top, left + side, top + side)
        return np.asarray(picture.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box))

    def logits(self, inputs: Sequence[np.ndarray]) -> torch.Tensor:
        """A call for each MAX_ROWS of them."""
        rows = torch.from_numpy(np.stack(inputs))
        return torch.cat([self.program(rows[at : at + MAX_ROWS])[0] for at in range(0, len(rows), MAX_ROWS)])


def described() -> dict[str, Any]:
    """What the harness wrote into the file that PEER_MODEL names."""
    content: dict[str, Any] = json.loads(Path(os.environ["PEER_MODEL"]).read_text(encoding="utf-8"))
    return content


def load() -> Classifier:
    """The model, as its mode says."""
    found = described()
    return (Compiled if found["mode"] == "engine" else Eager)(found)
