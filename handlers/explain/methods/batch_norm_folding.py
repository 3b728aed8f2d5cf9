"""Folding of batch norms into the convolutions before them, which makes forward and backward passes shorter.

A trained batch norm scales and shifts each channel by constants. A convolution with scaled weights and shifted bias
gives the same result (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", arXiv 1712.05877, section 3.2). Compilers fold for predictions. Gradients with
respect to the image gain as well: each feature map is written and read once less, forward and backward.
"""

from __future__ import annotations

from typing import TypeVar

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Layer = TypeVar("Layer", bound=nn.Module)


def fold_batch_norms(network: fx.GraphModule) -> bool:
    """Fold each batch norm that follows a convolution; return whether one was folded.

    The folded convolutions are new modules with their own weights. torch.fx.experimental.optimization.fuse changes the
    modules instead. If a convolution is called twice, before two different norms, it makes one module for both.

    Args:
        network: in evaluation mode. Its graph changes in place; its modules do not change.
    """
    graph, folded = network.graph, False
    for node in graph.nodes:
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or len(before.users) > 1:
            continue
        convolution, norm = _hookless(network, before, nn.Conv2d), _hookless(network, node, nn.BatchNorm2d)
        if convolution is None or norm is None or norm.running_mean is None:  # uses batch statistics
            continue
        name = f"{before.name}_folded"
        network.add_module(name, fuse_conv_bn_eval(convolution, norm))
        with graph.inserting_before(node):
            node.replace_all_uses_with(graph.call_module(name, before.args, before.kwargs))
        graph.erase_node(node)
        graph.erase_node(before)
        folded = True
    network.delete_all_unused_submodules()
    network.recompile()
    return folded


def _hookless(network: fx.GraphModule, node: fx.Node, kind: type[Layer]) -> Layer | None:
    """Return the module that the node calls, if it is of this kind and has no hooks."""
    module = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    # A hook may compute new weights in each pass, as torch.nn.utils.weight_norm does.
    if type(module) is not kind or module._forward_pre_hooks or module._forward_hooks:
        return None
    return module
