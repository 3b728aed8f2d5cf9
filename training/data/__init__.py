"""Labeled images to train on: `load` finds them by name or by path.

A data set of its own is a module of this package with a `load(seed)` that returns a Dataset; DATASETS names them.
folder.py, table.py and cifar10.py read what people have on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.printable import printable
from training.data import folder, table
from training.data.builtin import cifar10, digits, shapes
from training.data.dataset import DataError, Dataset
from training.data.split import SPLIT_SEED

DATASETS: dict[str, Callable[..., Dataset]] = {
    digits.NAME: digits.load,
    cifar10.NAME: cifar10.load,
    shapes.NAME: shapes.load,
    shapes.SPURIOUS: shapes.load_spurious,
}


def load(argument: str, seed: int = SPLIT_SEED) -> tuple[Dataset, list[str]]:
    """Return the data set that `argument` names, and sentences about its problems.

    Args:
        argument: a name of DATASETS; a folder or .tar.gz of CIFAR-10 in its python layout; a .csv file of paths and
            labels; or a folder with a sub-folder of images for each class.
        seed: of the splits that are drawn.

    Raises:
        DataError: there is no such data set, file or folder, or it cannot be trained on.
    """
    if argument in DATASETS:
        return DATASETS[argument](seed), []
    path = Path(argument)
    if argument and path.is_dir():
        batches = cifar10.find(path)
        return (cifar10.read(batches, seed), []) if batches else folder.load(path, seed)
    if path.is_file() and path.suffix.lower() == ".csv":
        return table.load(path, seed)
    if path.is_file() and path.name.lower().endswith((".tar.gz", ".tgz")):
        return cifar10.unpack(path, seed), []
    wrong = "no kind of file that is read" if path.is_file() else "neither a folder nor a known data set"
    raise DataError(
        f"data set '{printable(argument)}' is {wrong}: give a folder with a sub-folder of images for each class, a "
        f".csv file of paths and labels, a folder or .tar.gz of CIFAR-10 in its python layout, or one of "
        f"{', '.join(sorted(DATASETS))}"
    )


__all__ = ["DATASETS", "SPLIT_SEED", "DataError", "Dataset", "load"]
