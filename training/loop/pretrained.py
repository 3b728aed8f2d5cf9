"""Initial weights for fine-tuning, from another training.

Every tensor with a matching name and shape is loaded; the load report lists the others. Files of PyTorch are read with
`weights_only=True`, because a pickle can run code of its author, and weights need no code.
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
COUNTER = "num_batches_tracked"  # of batch norms: it has nothing that was learned, and old files lack it
MAX_NAMES = 4  # names in a sentence of the report
MIN_SIMILARITY = 0.4  # share of common names, from which on an error names the architecture


class WeightsError(ValueError):
    """The weights cannot be loaded; the message names the file, the problem, and what to do."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A tensor that has different shapes in the file and in the network."""

    name: str
    file_shape: Shape
    network_shape: Shape


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Result of loading weights from a file, without the counters of batch norms.

    Attributes:
        prefix: prefix of the names in the file.
        loaded: tensors that were loaded.
        missing: tensors of the network that the file lacks; they keep their random values.
        unexpected: tensors of the file that the network lacks, by their name in the file.
        wrong_shape: tensors with different shapes; they keep their random values.
        head: name of the network's last linear layer.
    """

    path: Path
    prefix: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[Misfit, ...]
    head: str

    def sentences(self) -> list[str]:
        """Return the report as sentences: one for the loaded tensors, and one for each kind of mismatch."""
        count = len(self.loaded) + len(self.missing) + len(self.wrong_shape)
        without = f", whose names there begin with {self.prefix!r}" if self.prefix else ""
        sentences = [f"{self.path}: {len(self.loaded)} of the network's {count} tensors are taken from it{without}"]
        misfits = list(self.wrong_shape)
        weight = next((misfit for misfit in misfits if misfit.name == f"{self.head}.weight"), None)
        if weight and weight.file_shape[1:] == weight.network_shape[1:]:
            sentences.append(
                f"the head, {self.head}, starts fresh: the file's is for {weight.file_shape[0]:,} classes, and there "
                f"are {weight.network_shape[0]:,}"
            )
            misfits = [misfit for misfit in misfits if misfit.name not in (f"{self.head}.weight", f"{self.head}.bias")]
        if misfits:
            shapes = [
                f"{misfit.name} (is {_by(misfit.file_shape)}, must be {_by(misfit.network_shape)})"
                for misfit in misfits
            ]
            sentences.append(f"of another shape in the file, so they start fresh: {_listed(shapes)}")
        if self.missing:
            sentences.append(f"not in the file, so they start fresh: {_listed(self.missing)}")
        if self.unexpected:
            sentences.append(f"in the file, but not in the network: {_listed(self.unexpected)}")
        return sentences


def initialize(network: nn.Module, path: Path) -> LoadReport:
    """Load the matching weights at `path`, a .safetensors, .pth or .pt file or a release folder, into `network`.

    A tensor matches by shape and by name, after removing the file's prefix (`module.` of DataParallel). It is
    converted to the network's float type. On an error the network is unchanged.

    Raises:
        WeightsError: there is no such file, it has no weights, or no tensor of it fits.
    """
    tensors = read(path)
    state = network.state_dict()
    prefix = _prefix(tensors, state)
    shared = {name: tensors[prefix + name] for name in state if prefix + name in tensors}
    fitting = [name for name, tensor in shared.items() if tensor.shape == state[name].shape]
    misfits = tuple(
        Misfit(name, tuple(tensor.shape), tuple(state[name].shape))
        for name, tensor in shared.items()
        if name not in fitting
    )
    head = _head(network)
    # Heads are all called alike, and a bias of as many classes says nothing without the rest.
    if all(name.endswith(COUNTER) or name.startswith(f"{head}.") for name in fitting):
        raise WeightsError(f"{path}: nothing in it fits the network: {_why(tensors, misfits, len(_learnt(state)))}")
    for name in fitting:
        if state[name].is_floating_point() and not shared[name].is_floating_point():
            kind = str(shared[name].dtype).removeprefix("torch.")
            raise WeightsError(
                f"{path}: {prefix + name} is {kind}: quantized weights cannot be trained on, give float ones"
            )
    with torch.no_grad():
        for name in fitting:
            state[name].copy_(shared[name])
    return LoadReport(
        path=path,
        prefix=prefix,
        loaded=_learnt(fitting),
        missing=_learnt(name for name in state if name not in shared),
        unexpected=_learnt(
            name for name in tensors if not (name.startswith(prefix) and name.removeprefix(prefix) in state)
        ),
        wrong_shape=misfits,
        head=head,
    )


def read(path: Path) -> Tensors:
    """Read the tensors of a .safetensors, .pth or .pt file, or of a release folder, by name.

    Raises:
        WeightsError: there is no such file, or it is not one of weights.
    """
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise WeightsError(
                f"{path}: a folder without {WEIGHTS}, so it is not a release: give a release or a file of weights"
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
            warnings.simplefilter("ignore")  # the errors below replace torch's warnings about unusual files
            # Files of torch before 1.6, such as older weights of torchvision, are not zip files and cannot be mapped.
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
    """Return the state dict in `content`: itself, or under one of WRAPPERS; other values are ignored."""
    if not isinstance(content, Mapping):
        return {}
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return _unwrapped(content[key])
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _prefix(tensors: Tensors, names: Collection[str]) -> str:
    """Return the prefix that gives the most matching names when it is removed; the shortest one of equals."""
    counts = Counter({"": sum(name in names for name in tensors)})
    for name in tensors:
        steps = name.split(".")
        for index in range(1, len(steps)):
            if ".".join(steps[index:]) in names:
                counts[".".join(steps[:index]) + "."] += 1
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)))


def _why(tensors: Tensors, misfits: tuple[Misfit, ...], count: int) -> str:
    """Return why nothing fits: other arguments, another architecture, or something else."""
    if 2 * len(misfits) > count:
        first = misfits[0]
        return (
            f"the names are the same and the shapes are not, {first.name} is {_by(first.file_shape)} and must be "
            f"{_by(first.network_shape)}: build the network with the arguments that the file's was built with"
        )
    best, similarity = "", 0.0
    for name in architectures.names():
        with torch.device("meta"):
            names = architectures.build(name).state_dict().keys()
        prefix = _prefix(tensors, names)
        share = sum(prefix + tensor in tensors for tensor in names) / max(len(names), len(tensors))
        if share > similarity:
            best, similarity = name, share
    if similarity >= MIN_SIMILARITY:
        return f"its names are most like those of architecture {best!r}: train that one, or give other weights"
    return f"it has {_listed(list(tensors))}: give weights of the architecture that you train"


def _learnt(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not name.endswith(COUNTER))


def _head(network: nn.Module) -> str:
    """Return the name of the last linear layer."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else ""


def _by(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _listed(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
