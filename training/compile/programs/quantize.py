"""float32 -> int8: weights by channel, activations by tensor, their ranges taken from images (PT2E of torchao).

Method: Jacob et al. 2018, arXiv:1712.05877. X86InductorQuantizer decides which operations use 8 bits.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from training.compile.programs.program import traced

# Images in one pass while ranges are measured.
ROWS = 32


def first_convolution(module: nn.Module) -> str | None:
    """Return the name of the first convolution in the order of named_modules; None if there is none."""
    return next((name for name, part in module.named_modules() if isinstance(part, nn.Conv2d)), None)


def quantized(module: nn.Module, pixels: torch.Tensor, *, narrow: bool, spared: str | None = None) -> nn.Module:
    """Return the module with its convolutions and linear layers in int8.

    Args:
        pixels: calibration images for the ranges of activations, uint8 (N, size, size, 3), on the CPU.
        narrow: give activations 7 bits instead of 8. Processors without VNNI add two products in 16 bits, where twice
            255 x 127 would overflow.
        spared: the name of a layer that stays in float32.
    """
    with _quiet():
        # Imported here, because torchao prints on import which of its GPU libraries do not load.
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e  # type: ignore[import-untyped]
        from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (  # type: ignore[import-untyped]
            X86InductorQuantizer,
            get_default_x86_inductor_quantization_config,
        )

        quantizer = X86InductorQuantizer()
        quantizer.set_global(get_default_x86_inductor_quantization_config(reduce_range=narrow))
        if spared is not None:
            quantizer.set_module_name_qconfig(spared, None)
        with torch.no_grad():
            prepared = prepare_pt2e(traced(module, pixels.shape[1], pixels.device).module(), quantizer)
            for rows in torch.split(pixels, ROWS):
                prepared(rows)
            converted: nn.Module = convert_pt2e(prepared)
        return converted


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress log lines and warnings of torchao."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
