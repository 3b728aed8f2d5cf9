"""Why the network answered so: the list of attribution methods, and what each of them answers.

A method is a module of this package with `NAME` and a function

    attribute(network, images, targets) -> Attribution

listed in METHODS below. The road from an attribution to evidence and picture is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from handlers.explain import ig
from handlers.explain.attribution import Attribution

Method = Callable[[nn.Module, torch.Tensor, torch.Tensor], Attribution]

METHODS: dict[str, Method] = {ig.NAME: ig.attribute}
DEFAULT_METHOD = ig.NAME
