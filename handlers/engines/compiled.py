"""The compiled engine: a .pt2 file, compiled ahead of time (AOTInductor), that needs no compiler to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from handlers.engines import Engine, EngineError, machine
from models.card import Card, Compiled


class Program(Engine):
    """A compiled engine of the card, loaded.

    Args:
        run_package: takes [uint8 pixels (N, size, size, 3)] and returns [logits, embeddings].
    """

    def __init__(
        self, name: str, device: torch.device, run_package: Callable[[list[torch.Tensor]], Sequence[torch.Tensor]]
    ) -> None:
        super().__init__(name, device)
        self._run_package = run_package

    @classmethod
    def load(cls, folder: Path, card: Card, entry: Compiled, device: torch.device) -> Program:
        """Load `engines/<name>.pt2` from a release folder or an unpacked .mar.

        The processor is checked before loading: an instruction that it lacks would end the process, not raise an error.

        Raises:
            EngineError: the gate rejected it; it needs another device, torch or processor; or it does not load.
        """
        path = folder / entry.path
        if entry.rejection is not None:
            raise EngineError(f"was kept out when it was compiled: {entry.rejection}")
        if entry.device != device.type:
            raise EngineError(f"is for {entry.device}, and this worker runs on {device.type}")
        if entry.torch != torch.__version__:
            raise EngineError(f"was compiled with torch {entry.torch}, and this is {torch.__version__}")
        lacking = sorted(set(entry.requires) - machine.features(device))
        if lacking:
            raise EngineError(f"needs {', '.join(lacking)}, which the processor here does not have")
        if not path.is_file():
            raise EngineError(f"{path}: no such file, though the card lists it")
        index = -1 if device.index is None else device.index
        try:
            # What torch._inductor.aoti_load_package wraps. That would import the whole compiler, for seconds, at each
            # start of a worker. The torch version is the one that made the package, so its internals are known.
            package = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, index)
        except Exception as error:  # a damaged package can cause any error of the loader or the linker
            raise EngineError(f"{path}: does not load: {' '.join(str(error).split())[:200]}") from None
        engine = cls(entry.name, device, package.run)
        engine.check_shapes(card.input.size, len(card.classes))
        return engine

    def run(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See Engine. The compiled file takes pixels with channels last, (N, size, size, 3), as from decoders."""
        logits, embeddings = self._run_package([pixels.permute(0, 2, 3, 1).contiguous()])
        return logits, embeddings
