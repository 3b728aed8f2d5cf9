"""Files and folders that a data set leaves out, each with the reason, and how that is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.printable import printable

# Names in one sentence, and sentences on the console; the report has all sentences.
MAX_NAMES = 5
MAX_SENTENCES = 20


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path that is not used, and the reason, which completes "<path>: ..."."""

    path: Path
    reason: str


def sentences(left_out: Sequence[LeftOut], used: int) -> list[str]:
    """Return the count of all that is left out, then a sentence for each folder and reason; nothing for nothing.

    Args:
        used: number of images that remain.
    """
    if not left_out:
        return []
    paths: dict[tuple[Path, str], list[Path]] = {}
    for item in left_out:
        paths.setdefault((item.path.parent, item.reason), []).append(item.path)
    total = f"left out: {len(left_out):,} in all, beside {used:,} images that are used"
    return [total, *(_sentence(folder, reason, group) for (folder, reason), group in paths.items())]


def capped(data_warnings: Sequence[str], whole: str = "") -> list[str]:
    """Return what the console shows of data_warnings: the first MAX_SENTENCES, and how many more there are.

    Args:
        whole: where all of them stand, such as ", which the report has".
    """
    more = len(data_warnings) - MAX_SENTENCES
    return [*data_warnings[:MAX_SENTENCES], *([f"and {more:,} more warnings like these{whole}"] if more > 0 else [])]


def listed(names: Sequence[str], most: int = MAX_NAMES) -> str:
    """Return names in one line, such as "a, b and 120 more"."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def _sentence(folder: Path, reason: str, paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return f"left out: {printable(paths[0])}: {reason}"
    names = listed([printable(path.name) for path in paths])
    return f"left out: {len(paths):,} in {printable(folder)} ({names}): {reason}"
