"""The linear beginning of a network, which goes along a straight line only once.

A method that adds up gradients between two images (Integrated Gradients, GradientSHAP) asks the network at many points
of one line. Until the first activation the network is linear once trained: it maps the line to a line, so its ends say
where the points of all steps come out, and the gradient goes back through it once, of the steps' sum (the chain rule
with a Jacobian that is the same everywhere). The first layer is a dear one: it has the largest maps, and the three
channels of the way back fill no vector.
"""

from __future__ import annotations

import copy
import logging

import torch
from torch import fx, nn

from handlers.explain.methods.batch_norm_folding import fold
from handlers.explain.methods.introspection import LINEAR

logger = logging.getLogger(__name__)


class Stem:
    """A network in two: a linear beginning, empty where there is none, and the rest, with its batch norms folded.

    It is no module itself, lest what is done to each module of a readout, such as hooks, is done to these as well. The
    weights are the network's own, but for the folded convolutions'.

    Args:
        network: in evaluation mode; maps images (N, 3, H, W) to logits (N, classes).
    """

    def __init__(self, network: nn.Module) -> None:
        self.layers, self.rest = _split(network)

    @torch.no_grad()
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, H, W) -> what `rest` takes, (N, ...)."""
        features: torch.Tensor = self.layers(images)
        return features

    def back(self, images: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """A number's gradient by the features -> its gradient by the images, (N, 3, H, W)."""
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(self.layers(images), images, slopes)[0]


def _split(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    weights = (*network.parameters(), *network.buffers())
    try:
        # Its modules are copied, but not their tensors: what its code keeps while it is traced is kept in the copy.
        traced = copy.deepcopy(network, {id(tensor): tensor for tensor in weights})
        graph = fx.Tracer().trace(traced)
    except Exception as error:  # whatever a network's own code makes of an image without pixels
        logger.debug("no linear beginning is looked for: the network cannot be traced: %s", error)
        return nn.Sequential(), network
    whole = traced.get_submodule
    images = node = next(node for node in graph.nodes if node.op == "placeholder")
    layers: list[fx.Node] = []
    # Where two layers take the same, the line forks: there are two ways from then on.
    while len(node.users) == 1:
        user = next(iter(node.users))
        if user.op != "call_module" or user.args != (node,) or not _is_linear(whole(str(user.target))):
            break
        layers.append(node := user)
    if layers:
        with graph.inserting_after(images):
            features = graph.placeholder("features")
        node.replace_all_uses_with(features)
        for done in (*reversed(layers), images):
            graph.erase_node(done)
    rest = fx.GraphModule(traced, graph).eval()
    if not fold(rest) and not layers:
        return nn.Sequential(), network
    return nn.Sequential(*(whole(str(layer.target)) for layer in layers)), rest


def _is_linear(module: nn.Module) -> bool:
    # A norm without statistics of its own takes those of the batch, also once trained.
    return type(module).__name__ in LINEAR and not (
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
    )
