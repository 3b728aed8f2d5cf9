"""Batch norms folded into the convolutions before them, so that a network's way forward and back is shorter.

Once trained, a batch norm multiplies and shifts each channel by numbers that stay. A convolution whose weights and bias
were multiplied and shifted gives the same (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", arXiv 1712.05877, section 3.2). Compilers do so for predictions; gradients by the
image gain as well, since each of the maps is written and read once less, both ways.
"""

from __future__ import annotations

from typing import TypeVar

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Layer = TypeVar("Layer", bound=nn.Module)


def fold(network: fx.GraphModule) -> bool:
    """Fold what can be folded; whether there was anything.

    The folded convolutions are new modules with weights of their own. (torch.fx.experimental.optimization.fuse changes
    modules instead: of a convolution that is called twice, each time before another norm, it makes one for both.)

    Args:
        network: in evaluation mode; changed in place, but for its modules.
    """
    graph, folded = network.graph, False
    for node in graph.nodes:
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or len(before.users) > 1:
            continue
        convolution, norm = _plain(network, before, nn.Conv2d), _plain(network, node, nn.BatchNorm2d)
        if convolution is None or norm is None or norm.running_mean is None:  # without, it takes those of the batch
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


def _plain(network: fx.GraphModule, node: fx.Node, kind: type[Layer]) -> Layer | None:
    """The module that is called there, if it is one of this kind and does nothing besides."""
    module = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    # A hook may make the weights anew in each pass, as that of torch.nn.utils.weight_norm does.
    if type(module) is not kind or module._forward_pre_hooks or module._forward_hooks:
        return None
    return module
