"""The linear prefix of a network: the layers before the first activation. They run once for all steps of a path.

Integrated Gradients and GradientSHAP evaluate the network at many points of a straight line between two images. The
linear prefix maps the line to a line, so its two ends give the features of all points. Its Jacobian is constant, so the
gradient of the sum of all steps passes backward through it once. This saves time: the first layer has the largest
feature maps, and its backward pass to three channels does not fill the vector units.
"""

from __future__ import annotations

import copy
import logging

import torch
from torch import fx, nn

from handlers.explain.methods.batch_norm_folding import fold_batch_norms
from handlers.explain.methods.introspection import LINEAR

logger = logging.getLogger(__name__)


class LinearPrefix:
    """A network split in two: its linear prefix, which may be empty, and the remainder with folded batch norms.

    This class is not a module, so that hooks on all modules of a TargetScore do not reach these copies. They share the
    weights of the network, except for the folded convolutions.

    Args:
        network: in evaluation mode; maps images (N, 3, H, W) to logits (N, classes).
    """

    def __init__(self, network: nn.Module) -> None:
        self.layers, self.remainder = _split(network)

    @torch.no_grad()
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 3, H, W) to the input of the remainder, (N, ...)."""
        features: torch.Tensor = self.layers(images)
        return features

    def gradient(self, images: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """Turn a gradient with respect to the features into one with respect to the images, (N, 3, H, W)."""
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(self.layers(images), images, slopes)[0]


def _split(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    weights = (*network.parameters(), *network.buffers())
    try:
        # Copy the modules, but not their tensors: attributes that the code sets while it is traced stay in the copy.
        traced = copy.deepcopy(network, {id(tensor): tensor for tensor in weights})
        graph = fx.Tracer().trace(traced)
    except Exception as error:  # the network's own code may raise anything for a symbolic image
        logger.debug("the network cannot be traced, so it has no linear prefix: %s", error)
        return nn.Sequential(), network
    get_module = traced.get_submodule
    images = node = next(node for node in graph.nodes if node.op == "placeholder")
    layers: list[fx.Node] = []
    # The prefix ends where two nodes use the same output.
    while len(node.users) == 1:
        user = next(iter(node.users))
        if user.op != "call_module" or user.args != (node,) or not _is_linear(get_module(str(user.target))):
            break
        layers.append(node := user)
    if layers:
        with graph.inserting_after(images):
            features = graph.placeholder("features")
        node.replace_all_uses_with(features)
        for unused_node in (*reversed(layers), images):
            graph.erase_node(unused_node)
    remainder = fx.GraphModule(traced, graph).eval()
    if not fold_batch_norms(remainder) and not layers:
        return nn.Sequential(), network
    return nn.Sequential(*(get_module(str(layer.target)) for layer in layers)), remainder


def _is_linear(module: nn.Module) -> bool:
    # A norm without running statistics uses those of the batch, even in evaluation mode.
    return type(module).__name__ in LINEAR and not (
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
    )
