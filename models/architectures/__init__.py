"""The list of architectures: every module of this package is one, and its name is the name a card uses.

To add one, put a file here with a `build(image_size, classes, **arguments)` function that returns an `nn.Module`
mapping float32 images (N, 3, image_size, image_size) to logits (N, classes). Nothing else has to change.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from torch import nn


def names() -> list[str]:
    """The architectures there are, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build(name: str, **arguments: Any) -> nn.Module:
    """Build the architecture `name` with fresh weights.

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
    network: nn.Module = function(**arguments)
    return network
