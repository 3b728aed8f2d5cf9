"""Where a network starts when not from nothing: weights of another training, for fine-tuning.

Every tensor whose name and shape fit is taken, and the report says what did not. Files of PyTorch are read with
`weights_only=True`: a pickle runs code of whoever made it, and weights need none.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn

from models import architectures
from models.release import WEIGHTS
from models.tensors import load_tensors

Tensors = dict[str, torch.Tensor]
Shape = tuple[int, ...]

SAFETENSORS = ".safetensors"
PYTORCH = (".pth", ".pt")
WRAPPERS = ("state_dict", "model")  # keys under which training scripts keep the weights, beside their optimizer's state
COUNTER = "num_batches_tracked"  # of batch norms: says nothing about what was learnt, and old files lack it
SHOWN = 4  # names in a sentence of the report
ALIKE = 0.4  # share of names that a file and an architecture must have in common for it to be named


class WeightsError(ValueError):
    """Weights that cannot be started from; the message names the file, what is wrong with it, and what to do."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A tensor that both have, of different shapes: `found` in the file, `wanted` by the network."""

    name: str
    found: Shape
    wanted: Shape


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a network took from a file. Counters of batch norms are left out of all of it.

    Attributes:
        prefix: what the names in the file begin with and the network's do not.
        loaded: tensors that the network took.
        missing: those of the network that the file does not have; they keep their fresh values.
        unexpected: those of the file, as they are called there, that the network does not have.
        wrong_shape: those that both have, but not alike; they keep their fresh values.
        head: the network's last linear layer, by name.
    """

    path: Path
    prefix: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[Misfit, ...]
    head: str

    def sentences(self) -> list[str]:
        """The report, for people: one sentence for what fitted, and one for each way in which something did not."""
        wanted = len(self.loaded) + len(self.missing) + len(self.wrong_shape)
        without = f", whose names there begin with {self.prefix!r}" if self.prefix else ""
        found = [f"{self.path}: {len(self.loaded)} of the network's {wanted} tensors are taken from it{without}"]
        rest = list(self.wrong_shape)
        weight = next((misfit for misfit in rest if misfit.name == f"{self.head}.weight"), None)
        if weight and weight.found[1:] == weight.wanted[1:]:
            found.append(
                f"the head, {self.head}, starts fresh: the file's is for {weight.found[0]:,} classes, and there are "
                f"{weight.wanted[0]:,}"
            )
            rest = [misfit for misfit in rest if misfit.name not in (f"{self.head}.weight", f"{self.head}.bias")]
        if rest:
            shapes = [f"{misfit.name} (is {_by(misfit.found)}, must be {_by(misfit.wanted)})" for misfit in rest]
            found.append(f"of another shape in the file, so they start fresh: {_listed(shapes)}")
        if self.missing:
            found.append(f"not in the file, so they start fresh: {_listed(self.missing)}")
        if self.unexpected:
            found.append(f"in the file, but not in the network: {_listed(self.unexpected)}")
        return found


def initialize(network: nn.Module, path: Path) -> LoadReport:
    """Fill `network` with what fits of the weights at `path`: a .safetensors, .pth or .pt file, or a release folder.

    A tensor fits by name, after taking off what all names in the file begin with (`module.` of DataParallel), and by
    shape. It is converted to the network's own type of float. If anything is raised, the network is as it was.

    Raises:
        WeightsError: there is no such file, it is not one of weights, or nothing of it fits.
    """
    found = read(path)
    wanted = network.state_dict()
    prefix = _prefix(found, wanted)
    shared = {name: found[prefix + name] for name in wanted if prefix + name in found}
    fitting = [name for name, tensor in shared.items() if tensor.shape == wanted[name].shape]
    misfits = tuple(
        Misfit(name, tuple(tensor.shape), tuple(wanted[name].shape))
        for name, tensor in shared.items()
        if name not in fitting
    )
    head = _head(network)
    # Heads are all called alike, and a bias of as many classes says nothing without the rest.
    if all(name.endswith(COUNTER) or name.startswith(f"{head}.") for name in fitting):
        raise WeightsError(f"{path}: nothing in it fits the network: {_why(found, misfits, len(_learnt(wanted)))}")
    for name in fitting:
        if wanted[name].is_floating_point() and not shared[name].is_floating_point():
            kind = str(shared[name].dtype).removeprefix("torch.")
            raise WeightsError(
                f"{path}: {prefix + name} is {kind}: quantized weights cannot be trained on, give float ones"
            )
    with torch.no_grad():
        for name in fitting:
            wanted[name].copy_(shared[name])
    return LoadReport(
        path=path,
        prefix=prefix,
        loaded=_learnt(fitting),
        missing=_learnt(name for name in wanted if name not in shared),
        unexpected=_learnt(
            name for name in found if not (name.startswith(prefix) and name.removeprefix(prefix) in wanted)
        ),
        wrong_shape=misfits,
        head=head,
    )


def read(path: Path) -> Tensors:
    """The tensors of a .safetensors, .pth or .pt file, or of a release folder, by name.

    Raises:
        WeightsError: there is no such file, or it is not one of weights.
    """
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise WeightsError(
                f"{path}: a folder without {WEIGHTS}, so it is no release: name one, or a file of weights"
            )
        path = path / WEIGHTS
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; it takes a {SAFETENSORS}, {' or '.join(PYTORCH)} file or a release")
    try:
        if path.suffix == SAFETENSORS:
            tensors: Tensors = load_tensors(path)
        elif path.suffix in PYTORCH:
            tensors = _unwrapped(_unpickled(path))
        else:
            raise WeightsError(f"{path}: its name must end with {SAFETENSORS}, {' or '.join(PYTORCH)}")
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read: {error}") from None
    if not tensors:
        raise WeightsError(f"{path}: holds no weights: save the network's state_dict() in it")
    return tensors


def _unpickled(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say about odd files is said below
            # What torch saved before version 1.6, and torchvision's older weights, is no zip file: it cannot be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError) as error:
        words = str(error)
    if "TorchScript" in words:
        raise WeightsError(
            f"{path}: a TorchScript program, which is code, not only weights: where you trust whoever made it, open it "
            "with torch.jit.load and torch.save its state_dict()"
        )
    if refused := re.search(r"GLOBAL ([\w.]+)", words):
        raise WeightsError(
            f"{path}: holds Python objects ({refused[1]}), not only weights, and these can run code when they are "
            "loaded: where you trust whoever made it, open it with torch.load(..., weights_only=False) and torch.save "
            "its state_dict()"
        )
    raise WeightsError(f"{path}: damaged, cut short, or not a file of torch.save")


def _unwrapped(content: object) -> Tensors:
    """The state dict in `content`: itself, or under one of WRAPPERS; what else is not a tensor is passed over."""
    if not isinstance(content, Mapping):
        return {}
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return _unwrapped(content[key])
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _prefix(found: Tensors, wanted: Collection[str]) -> str:
    """The beginning of names in the file, without which most of them are the network's; the shortest of equals."""
    counts = Counter({"": sum(name in wanted for name in found)})
    for name in found:
        steps = name.split(".")
        for place in range(1, len(steps)):
            if ".".join(steps[place:]) in wanted:
                counts[".".join(steps[:place]) + "."] += 1
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)))


def _why(found: Tensors, misfits: tuple[Misfit, ...], wanted: int) -> str:
    """Why nothing fits: other arguments, another architecture, or something else."""
    if 2 * len(misfits) > wanted:
        first = misfits[0]
        return (
            f"the names are the same and the shapes are not, {first.name} is {_by(first.found)} and must be "
            f"{_by(first.wanted)}: build the network with the arguments that the file's was built with"
        )
    best, likeness = "", 0.0
    for name in architectures.names():
        with torch.device("meta"):
            names = architectures.build(name).state_dict().keys()
        prefix = _prefix(found, names)
        share = sum(prefix + tensor in found for tensor in names) / max(len(names), len(found))
        if share > likeness:
            best, likeness = name, share
    if likeness >= ALIKE:
        return f"its names are most like those of architecture {best!r}: train that one, or give other weights"
    return f"it has {_listed(list(found))}: give weights of the architecture that you train"


def _learnt(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not name.endswith(COUNTER))


def _head(network: nn.Module) -> str:
    """The name of the last linear layer."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else ""


def _by(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _listed(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
