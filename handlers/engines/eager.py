"""The eager engine: the network as it was trained, in float32. Explanations always use it."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError

from handlers.engines import EAGER, Engine, EngineError
from handlers.modalities.image import images
from models import architectures
from models.architectures import Network
from models.card import Card, Input
from models.release import WEIGHTS
from models.tensors import load_tensors


class Eager(Engine):
    """A network with its weights, in evaluation mode on one device."""

    def __init__(self, network: Network, spec: Input, device: torch.device) -> None:
        super().__init__(EAGER, device)
        self.spec = spec
        # The pixels have channels last. Weights with the same layout save a copy of the input of each convolution.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network.to(device).eval().requires_grad_(False)

    @classmethod
    def load(cls, folder: Path, card: Card, device: torch.device) -> Eager:
        """Build the card's architecture and fill it from `weights.safetensors` in `folder`.

        Raises:
            EngineError: the weights file is damaged or belongs to another architecture, input or number of classes.
        """
        network = architectures.build(card.architecture.name, **card.architecture.arguments)
        path = folder / WEIGHTS
        try:
            network.load_state_dict(load_tensors(path))
        except (SafetensorError, OSError) as error:
            raise EngineError(f"{path}: cannot be read: {error}") from None
        except RuntimeError as error:
            first = " ".join(str(error).split())[:300]
            raise EngineError(f"{path}: does not fit architecture {card.architecture.name!r}: {first}") from None
        engine = cls(network, card.input, device)
        engine.check_shapes(card.input.size, len(card.classes))
        return engine

    def run(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See Engine."""
        embeddings = self.network.embed(images.normalize(pixels, self.spec))
        return self.network.head(embeddings), embeddings
