"""`cifar10`: 60,000 color photos of 32 x 32 pixels in 10 classes, 10,000 of them for testing.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. Read from the official python layout: a
folder `cifar-10-batches-py`, or the archive of it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import class_names
from models.class_names import ClassNameError
from training.data.arrays import Arrays
from training.data.builtin import unpickle
from training.data.builtin.download import fetch
from training.data.dataset import DataError, Dataset, Split
from training.data.split import SPLIT_SEED, divide

NAME = "cifar10"
FOLDER = "cifar-10-batches-py"
SIDE = 32
META, TRAIN, TEST = "batches.meta", tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",)
FILES = (META, *TRAIN, *TEST)
# Of the official training images; the official test images stay the test split.
CALIBRATION_SHARE = 0.1

ARCHIVE = "cifar-10-python.tar.gz"
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
CHECKSUM = "md5:c58f30108f718f92721af3d95e74349a"
BYTES = 170_498_071


@dataclass(frozen=True, slots=True)
class _Batch:
    """Images (N, 32, 32, 3), and of each the index of its class and its name."""

    pixels: np.ndarray
    labels: list[int]
    names: list[str]

    def split(self, rows: Sequence[int]) -> Split:
        return Split(
            Arrays(self.pixels[list(rows)]), [self.labels[row] for row in rows], [self.names[row] for row in rows]
        )


def load(seed: int = SPLIT_SEED) -> Dataset:
    """Load the data set from `datasets/cifar10/` (or `$TORCHLIGHT_DATASETS/cifar10/`); download it if needed.

    Raises:
        DataError: it cannot be downloaded, or the files are damaged.
    """
    home = Path(os.environ.get("TORCHLIGHT_DATASETS") or "datasets") / NAME
    batches = find(home)
    if batches is None:
        fetch(URL, home / ARCHIVE, CHECKSUM, BYTES)
        batches = _extract(home / ARCHIVE, home)
    return read(batches, seed)


def find(folder: Path) -> Path | None:
    """Return the folder of the batches, `folder` or `cifar-10-batches-py` below it; None if neither has them."""
    folders = (folder, folder / FOLDER)
    return next((path for path in folders if any((path / name).is_file() for name in FILES)), None)


def unpack(archive: Path, seed: int = SPLIT_SEED) -> Dataset:
    """Read the data set from an archive; nothing stays on the disk.

    Raises:
        DataError: it is damaged, or holds something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        return read(_extract(archive, Path(folder)), seed)


def read(folder: Path, seed: int = SPLIT_SEED) -> Dataset:
    """Read the data set from the folder of the batches.

    Raises:
        DataError: a batch is missing, damaged, or of another shape.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)}: unpack {ARCHIVE} again")
    classes = _classes(folder / META)
    train = [_batch(folder / name, len(classes)) for name in TRAIN]
    test = _batch(folder / TEST[0], len(classes))
    official_train = _Batch(
        np.concatenate([batch.pixels for batch in train]),
        [label for batch in train for label in batch.labels],
        [name for batch in train for name in batch.names],
    )
    digest = hashlib.sha256()
    for batch in (official_train, test):
        digest.update(np.ascontiguousarray(batch.pixels).data)
        digest.update(np.array(batch.labels, dtype="<i8").data)
    train_rows, calibration_rows = divide(
        range(len(official_train.labels)), official_train.labels.__getitem__, CALIBRATION_SHARE, seed
    )
    return Dataset(
        name=NAME,
        source="CIFAR-10 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009)",
        license="none stated",
        classes=classes,
        train=official_train.split(train_rows),
        calibration=official_train.split(calibration_rows),
        test=test.split(range(len(test.labels))),
        sha256=digest.hexdigest(),
    )


def _extract(archive: Path, into: Path) -> Path:
    """Unpack the batches into `into`: all of them, or none."""
    draft = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=into))
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:  # each when it comes: to go back is to inflate all of it again
                if member.name in {f"{FOLDER}/{name}" for name in FILES}:
                    tar.extract(member, draft, filter="data")
        if not (draft / FOLDER).is_dir():
            raise DataError(f"{archive} is not CIFAR-10 in its python layout: it holds no {FOLDER}/{META}")
        try:
            (draft / FOLDER).rename(into / FOLDER)
        except OSError:
            if find(into) is None:  # otherwise another process was faster
                raise
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive} is cut short or corrupt ({error}): fetch it again") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return into / FOLDER


def _classes(path: Path) -> tuple[str, ...]:
    names = _contents(path, label_names=list)["label_names"]
    if len(names) < 2 or not all(isinstance(name, bytes | str) for name in names):
        raise DataError(f"{path}: its label_names are {names!r:.80}: they must be the names of the classes")
    classes = tuple(_text(name) for name in names)
    try:
        class_names.check(classes)
    except ClassNameError as error:
        raise DataError(f"{path}: {error}") from None
    return classes


def _batch(path: Path, classes: int) -> _Batch:
    contents = _contents(path, data=np.ndarray, labels=list, filenames=list)
    pixels, labels, names = contents["data"], contents["labels"], contents["filenames"]
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3 * SIDE * SIDE:
        raise DataError(f"{path}: its data are {pixels.dtype} {pixels.shape}: they must be uint8 (images, 3072)")
    if not len(pixels) == len(labels) == len(names):
        raise DataError(f"{path}: {len(pixels)} images, but {len(labels)} labels and {len(names)} names")
    wrong = next((label for label in labels if not isinstance(label, int) or not 0 <= label < classes), None)
    if wrong is not None:
        raise DataError(f"{path}: a label is {wrong!r}: it must be from 0 to {classes - 1}")
    # A row is the red, then the green, then the blue plane.
    return _Batch(
        pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1),
        labels,
        [f"{path.name}:{row} ({_text(name)})" for row, name in enumerate(names)],
    )


def _contents(path: Path, **kinds: type) -> dict[str, Any]:
    """Return the values of a batch file, after checking that each name of `kinds` has its type."""
    pickled = unpickle.read(path)
    contents = {_text(key): value for key, value in pickled.items()} if isinstance(pickled, dict) else {}
    for name, kind in kinds.items():
        if not isinstance(contents.get(name), kind):
            raise DataError(f"{path} holds no {kind.__name__} called {name}: this is not a file of CIFAR-10")
    return contents


def _text(name: object) -> str:
    """Python 2 wrote names that Python 3 reads as bytes."""
    return name.decode("latin1") if isinstance(name, bytes) else str(name)
