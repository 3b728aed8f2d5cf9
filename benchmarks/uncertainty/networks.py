"""Networks to measure on. Each is trained once with the project's code, and kept with its outputs in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file

from handlers.engines import Outputs
from handlers.engines.eager import Eager
from handlers.uncertainty.observation import observe
from models import architectures
from models.card import Input
from models.tensors import load_tensors
from training import data, recipe
from training.data.dataset import Dataset, Split
from training.data.split import SPLIT_SEED
from training.loop import loader
from training.loop.job import CPU, TrainingJob
from training.loop.measure import seen
from training.train import prepare
from training.uncertainty import Scored

RECIPE = "default"
# Images of a larger data set that are used, so that a training takes at most about a minute.
MAX_TRAIN, MAX_POOL = 3_000, 3_000


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """A trained network with its outputs.

    Attributes:
        data: name of its data set.
        train: the images that it was trained on.
        pool: images that it was not trained on, to be split into calibration and held-out images.
        pixels: the network's input for the pool, uint8 (N, 3, S, S).
    """

    data: str
    seed: int
    engine: Eager
    spec: Input
    train: Scored
    pool: Scored
    pixels: torch.Tensor


def file_of(folder: Path, name: str, seed: int) -> Path:
    """Return the file of a network."""
    return folder / f"{name}-{seed}.safetensors"


def name_of(source: str) -> str:
    """Return the name of a data set: a built-in name, or the name of its folder."""
    return source if source in data.DATASETS else Path(source).resolve().name


def train(source: str, seed: int, folder: Path) -> None:
    """Train a network and keep it, unless it is in the folder already. Split, weights and order depend on the seed."""
    name = name_of(source)
    path = file_of(folder, name, seed)
    if path.exists():
        return
    dataset, _ = data.load(source, SPLIT_SEED + seed)
    dataset = _limited(dataset)
    settings = recipe.load(RECIPE, {"seed": seed})
    job = TrainingJob(dataset=dataset, model=name, version="1", recipe=settings, root=folder)
    training, arguments = prepare(job, None)
    training.run()
    spec = training.spec
    tensors = {f"weights.{key}": value.contiguous() for key, value in training.network.state_dict().items()}
    splits = {
        "train": [training.train],
        "pool": [training.calibration, loader.load(dataset.test, spec, job.device)],
    }
    for split, sources in splits.items():
        tensors[f"{split}.pixels"] = torch.cat([pixels for part in sources for _, pixels in seen(part, spec)])
        tensors[f"{split}.labels"] = torch.cat([part.labels for part in sources])
    header = {"architecture": settings.architecture.name, "arguments": arguments, "input": spec.model_dump(mode="json")}
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    save_file(tensors, draft, {"header": json.dumps(header)})
    draft.rename(path)


def load(name: str, seed: int, folder: Path) -> MeasuredNetwork:
    """Load a kept network, and compute its outputs.

    Raises:
        OSError: it is not in the folder.
        ValueError: it is from another revision of this code.
    """
    path = file_of(folder, name, seed)
    with safe_open(path, "pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()["header"])
    tensors = load_tensors(path)
    network = architectures.build(header["architecture"], **header["arguments"])
    prefix = "weights."
    weights = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    network.load_state_dict(weights)
    try:
        spec = Input.model_validate(header["input"])
    except ValidationError:
        raise ValueError(f"{path} is from another revision of this code: remove it, and it is trained again") from None
    engine = Eager(network, spec, CPU)
    train_split, pool = (
        Scored(_observed(engine, tensors[f"{split}.pixels"]), tensors[f"{split}.labels"]) for split in ("train", "pool")
    )
    return MeasuredNetwork(name, seed, engine, spec, train_split, pool, tensors["pool.pixels"])


def rows(scored: Scored, indices: torch.Tensor) -> Scored:
    """Return the images with these indices, int64 (n,)."""
    outputs = scored.outputs
    assert outputs.statistics is not None, "handlers.uncertainty.observation.observe adds them"
    chosen = Outputs(outputs.logits[indices], outputs.embeddings[indices], outputs.statistics[indices])
    return Scored(chosen, scored.labels[indices])


def _observed(engine: Eager, pixels: torch.Tensor) -> Outputs:
    return Outputs.cat([observe(engine, chunk) for chunk in torch.split(pixels, 256)])


def _limited(dataset: Dataset) -> Dataset:
    """Return the data set with fewer images, every class in proportion up to chance."""
    limits = (MAX_TRAIN, MAX_POOL // 2, MAX_POOL // 2)
    splits = (dataset.train, dataset.calibration, dataset.test)
    train_split, calibration, test = (_sample(split, limit) for split, limit in zip(splits, limits, strict=True))
    return Dataset(
        name=dataset.name,
        source=dataset.source,
        license=dataset.license,
        classes=dataset.classes,
        train=train_split,
        calibration=calibration,
        test=test,
        sha256=dataset.sha256,
    )


def _sample(split: Split, limit: int) -> Split:
    if len(split) <= limit:
        return split
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:limit].tolist()
    return Split([split.images[row] for row in order], [split.labels[row] for row in order])
