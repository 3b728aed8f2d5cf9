"""Encoded images that stay on disk until one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload


@dataclass(frozen=True, slots=True)
class Files(Sequence[bytes]):
    """The bytes of files, each read whenever it is asked for; little to hold, and little to hand to another process.

    Attributes:
        names: paths relative to `root`, or absolute ones.
    """

    root: Path
    names: tuple[str, ...]

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Files: ...

    def __getitem__(self, index: int | slice) -> bytes | Files:
        if isinstance(index, slice):
            return Files(self.root, self.names[index])
        return (self.root / self.names[index]).read_bytes()

    def __len__(self) -> int:
        return len(self.names)
