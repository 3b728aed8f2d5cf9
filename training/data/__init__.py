"""Labelled images to train on: what every data set gives, and the list of them.

A data set is a module of this package with a `load()` that returns a Dataset; DATASETS names them. folder.py loads any
folder of images.
"""

from __future__ import annotations

from collections.abc import Callable

from training.data import digits
from training.data.dataset import Dataset

DATASETS: dict[str, Callable[[], Dataset]] = {digits.NAME: digits.load}

__all__ = ["DATASETS", "Dataset"]
