"""Reading .safetensors files: their header is JSON, and bounded like all other (see models/documents.py)."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

# Bytes. A network of 3,000 tensors has 0.4 MB of it; the format itself allows 100 MB.
MAX_HEADER = 16_000_000


def load_tensors(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Load the tensors of a file, by name, on the CPU.

    Raises:
        SafetensorError: it is damaged, or its header exceeds MAX_HEADER.
        OSError: it cannot be read.
    """
    check_header(path)
    return load_file(path)


def check_header(path: str | os.PathLike[str]) -> None:
    """Check the length that a file gives for its header.

    Raises:
        SafetensorError: it exceeds MAX_HEADER.
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise SafetensorError(f"a header of {length:,} bytes, more than {MAX_HEADER:,}, the limit")
