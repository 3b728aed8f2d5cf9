"""Image classification for all peers, in both modes: from bytes to an input, to a batch, to the top classes."""

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

# Torchlight decodes a JPEG at least to this long side. The peers do the same work.
VIEW_SIDE = 512
# Maximum batch of a compiled program.
MAX_ROWS = 64


# Prediction of an image: index, label, probability. pydantic on Python 3.11 does not accept a TypedDict here.
Prediction = dict[str, Any]


class Classifier:
    """The model of one worker. A subclass runs it.

    Args:
        model: the description from `read_description`.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self.size: int = model["size"]
        self.precrop_size = self.size
        if model["resize"] == "crop":  # with the same margin on each side: 256 for 224
            self.precrop_size += 2 * round((self.size / model["crop"] - self.size) / 2)

    def pixels(self, image: bytes) -> Any:
        """Return the input of `logits` for an encoded image."""
        raise NotImplementedError

    def logits(self, inputs: Sequence[Any]) -> torch.Tensor:
        """Return float32 (N, classes) for the inputs of N images."""
        raise NotImplementedError

    def classify(self, inputs: Sequence[Any]) -> list[Prediction]:
        """Return N predictions for the inputs of N images."""
        with torch.inference_mode():
            probabilities, indices = torch.softmax(self.logits(inputs), dim=1).max(dim=1)
        classes = self.model["classes"]
        return [
            {"index": index, "label": classes[index], "probability": probability}
            for index, probability in zip(indices.tolist(), probabilities.tolist(), strict=True)
        ]


class Eager(Classifier):
    """Default mode: the network in float32, and the transforms of the tutorials.

    These are Resize, CenterCrop, ToTensor and Normalize of torchvision, done with Pillow and torch. The wheel of
    torchvision on the package index needs the CUDA build of torch.
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
        """Return normalized float32 (3, size, size)."""
        decoded = Image.open(io.BytesIO(image)).convert("RGB")
        if self.model["resize"] == "crop":
            scale = self.precrop_size / min(decoded.size)
            decoded = decoded.resize(
                (int(decoded.width * scale), int(decoded.height * scale)), Image.Resampling.BILINEAR
            )
            x0, y0 = round((decoded.width - self.size) / 2), round((decoded.height - self.size) / 2)
            decoded = decoded.crop((x0, y0, x0 + self.size, y0 + self.size))
        else:
            decoded = decoded.resize((self.size, self.size), Image.Resampling.BILINEAR)
        tensor = torch.from_numpy(np.array(decoded)).permute(2, 0, 1).contiguous().float() / 255
        return (tensor - self.mean) / self.std

    def logits(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Run one forward pass."""
        logits: torch.Tensor = self.network(torch.stack(list(inputs)))
        return logits


class Compiled(Classifier):
    """Engine mode: the compiled program, and Pillow as in Torchlight's images.py: scaled JPEG decode, crop, resize."""

    def __init__(self, model: dict[str, Any]) -> None:
        from torch._inductor import aoti_load_package

        super().__init__(model)
        torch.set_num_threads(1)
        self.program = aoti_load_package(model["engine"])

    def pixels(self, image: bytes) -> np.ndarray:
        """Return uint8 (size, size, 3)."""
        file = Image.open(io.BytesIO(image))
        if file.format == "JPEG":
            scale = max(2 * self.precrop_size / min(file.size), VIEW_SIDE / max(file.size))
            file.draft(file.mode, (math.ceil(file.width * scale), math.ceil(file.height * scale)))
        decoded = file.convert("RGB")
        box: tuple[float, float, float, float] = (0, 0, *decoded.size)
        if self.model["resize"] == "crop":
            side = min(decoded.size) * self.size / self.precrop_size
            x0, y0 = (decoded.width - side) / 2, (decoded.height - side) / 2
            box = (x0, y0, x0 + side, y0 + side)
        return np.asarray(decoded.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box))

    def logits(self, inputs: Sequence[np.ndarray]) -> torch.Tensor:
        """Call the program for each MAX_ROWS inputs."""
        rows = torch.from_numpy(np.stack(inputs))
        return torch.cat([self.program(rows[at : at + MAX_ROWS])[0] for at in range(0, len(rows), MAX_ROWS)])


def read_description() -> dict[str, Any]:
    """Return the model's description from the file that PEER_MODEL names."""
    content: dict[str, Any] = json.loads(Path(os.environ["PEER_MODEL"]).read_text(encoding="utf-8"))
    return content


def load() -> Classifier:
    """Load the model for its mode."""
    model = read_description()
    return (Compiled if model["mode"] == "engine" else Eager)(model)
