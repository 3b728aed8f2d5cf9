"""Installation of compiled engines in a release; a kill at any time leaves a valid release."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models.card import FILE_NAME, Card, Compiled
from models.golden import ANSWERS, FOLDER, answers_of
from models.release import REPORT, sha256

ENGINES = "engines"
_DRAFT = ".engines-"


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """Provide an empty temporary folder inside the release, in which files are prepared.

    Folders of killed runs are removed first.
    """
    for left in folder.glob(f"{_DRAFT}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_DRAFT, dir=folder) as path:
        yield Path(path)


def install(folder: Path, prepared: Path, engines: Sequence[Compiled]) -> Card:
    """Move the files prepared in a draft into the release in `folder`, replacing older ones; return the new card.

    First the card drops its old engines, then the files change, then the card lists the new engines. A kill in
    between leaves a release without compiled engines, and the next run completes it.

    Args:
        prepared: has `engines/<name>.pt2` and `golden/<name>.json` for each admitted engine, and files for `report/`.
        engines: all entries for the card, in order.
    """
    remove(folder)
    card = Card.load(folder)
    digests = dict(card.digests)
    for entry in engines:
        if entry.rejection is None:
            digests[entry.path] = sha256(prepared / entry.path)
            for name in (entry.path, answers_of(entry.name)):
                _move(prepared / name, folder / name)
    for path in sorted((prepared / REPORT).glob("*")):
        _move(path, folder / REPORT / path.name)
    card = card.model_copy(update={"engines": tuple(engines), "digests": digests})
    _save(card, folder)
    return card


def remove(folder: Path) -> Card:
    """Remove all compiled engines from the release in `folder`; return its card without them."""
    card = Card.load(folder)
    digests = {name: digest for name, digest in card.digests.items() if not name.startswith(f"{ENGINES}/")}
    if card.engines or digests != card.digests:
        card = card.model_copy(update={"engines": (), "digests": digests})
        _save(card, folder)
    shutil.rmtree(folder / ENGINES, ignore_errors=True)
    answers = (path for path in (folder / FOLDER).glob("*.json") if path != folder / ANSWERS)
    for path in (*answers, *(folder / REPORT).glob(f"{ENGINES}.*")):
        path.unlink()
    return card


def _save(card: Card, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".card-", dir=folder) as scratch:
        card.save(scratch)
        (Path(scratch) / FILE_NAME).replace(folder / FILE_NAME)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    source.replace(target)
