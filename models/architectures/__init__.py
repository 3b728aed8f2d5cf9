"""The list of architectures: every module of this package is one, and its name is the name a card uses.

To add one, put a file here with a `build(image_size, classes, **arguments)` function that returns a Network. Nothing
else has to change.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import torch
from torch import nn


class Network(nn.Module):
    """A classifier in two parts, `head(embed(images))`: embeddings of images, and logits from embeddings.

    Every activation is a module of its own (`nn.ReLU()`, each used once): attribution methods that hook activations
    (DeepLift) give wrong results, without an error, if an activation is shared or a function.
    """

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """float32 images (N, 3, image_size, image_size) -> embeddings (N, D), the input of the last linear layer."""
        raise NotImplementedError

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Embeddings (N, D) -> logits (N, classes): the last linear layer."""
        raise NotImplementedError

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 images (N, 3, image_size, image_size) -> logits (N, classes)."""
        return self.head(self.embed(images))


def names() -> list[str]:
    """Return the names of all architectures, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build(name: str, **arguments: Any) -> Network:
    """Build the architecture `name` with random weights.

    Raises:
        ValueError: there is no such architecture, or it does not take these arguments.
    """
    if name not in names():
        raise ValueError(f"no architecture {name!r}: there are {', '.join(names())}")
    function = importlib.import_module(f"{__name__}.{name}").build
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"architecture {name!r}: {error}; it is {name}{inspect.signature(function)}") from None
    network: Network = function(**arguments)
    return network
