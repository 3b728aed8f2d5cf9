"""Files and folders that a data set leaves out, each with the reason, and the messages about them."""

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
    """Return the total number of left-out files, then a sentence for each folder and reason; empty if none.

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


def capped(data_warnings: Sequence[str], location: str = "") -> list[str]:
    """Return the part of `data_warnings` for the console: the first MAX_SENTENCES, and the number of the others.

    Args:
        location: where the user finds all of them, such as ", which the report has".
    """
    more = len(data_warnings) - MAX_SENTENCES
    return [*data_warnings[:MAX_SENTENCES], *([f"and {more:,} more warnings like these{location}"] if more > 0 else [])]


def listed(names: Sequence[str], max_names: int = MAX_NAMES) -> str:
    """Return names in one line, such as "a, b and 120 more"."""
    more = len(names) - max_names
    return ", ".join(names[:max_names]) + (f" and {more:,} more" if more > 0 else "")


def _sentence(folder: Path, reason: str, paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return f"left out: {printable(paths[0])}: {reason}"
    names = listed([printable(path.name) for path in paths])
    return f"left out: {len(paths):,} in {printable(folder)} ({names}): {reason}"
