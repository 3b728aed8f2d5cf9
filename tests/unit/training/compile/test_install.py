"""Killed at any moment, a release is whole; run again, it is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.card import Card, Compiled
from models.golden import answers_of
from models.release import Release, verify_digests
from training.compile.install import draft, install, remove

INT8 = Compiled(name="cpu-int8", torch="2.13.0", requires=("avx2",), compiled_on="a processor")
FP32 = INT8.model_copy(update={"name": "cpu-fp32"})
SLOW = FP32.model_copy(update={"rejection": "it is no faster"})


def prepare(folder: Path, content: str, *entries: Compiled) -> None:
    """Files as they are before they are adopted."""
    for entry in entries:
        for name in (entry.path, answers_of(entry.name)):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"{content} {name}")
    (folder / "report").mkdir()
    (folder / "report" / "engines.html").write_text(content)


def adopted(release: Release, content: str, *entries: Compiled) -> Card:
    with draft(release.folder) as prepared:
        prepare(prepared, content, *(entry for entry in entries if entry.rejection is None))
        return install(release.folder, prepared, entries)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_card_vouches_for_what_may_answer_and_names_what_may_not(own_release: Release) -> None:
    before = files(own_release.folder)
    card = adopted(own_release, "new", INT8, SLOW)
    assert Card.load(own_release.folder) == card
    assert card.engines == (INT8, SLOW)
    assert card.digests.keys() - own_release.card.digests.keys() == {"engines/cpu-int8.pt2"}
    verify_digests(own_release.folder, card)
    new = {"engines/cpu-int8.pt2", "golden/cpu-int8.json", "report/engines.html"}
    assert files(own_release.folder) - before == new


def test_a_second_run_replaces_all_of_the_first(own_release: Release) -> None:
    adopted(own_release, "old", INT8, FP32)
    card = adopted(own_release, "new", INT8, SLOW)
    assert card.engines == (INT8, SLOW)
    assert not (own_release.folder / FP32.path).exists()
    assert not (own_release.folder / answers_of(FP32.name)).exists()
    assert (own_release.folder / INT8.path).read_text().startswith("new")
    verify_digests(own_release.folder, card)


def test_removing_leaves_what_was_trained(own_release: Release) -> None:
    before = files(own_release.folder)
    adopted(own_release, "new", INT8, SLOW)
    assert remove(own_release.folder) == own_release.card == Card.load(own_release.folder)
    assert files(own_release.folder) == before
    assert remove(own_release.folder) == own_release.card


class Killed(BaseException):
    """Nothing that is done after it happens."""


@pytest.mark.parametrize("step", range(8))
def test_a_kill_leaves_a_release_that_is_whole_and_the_next_run_repairs_it(
    own_release: Release, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run, killed before each of its changes to the folder in turn."""
    adopted(own_release, "old", INT8, FP32)
    left = step
    replace, unlink = Path.replace, Path.unlink

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return change(*arguments, **more)

        return changed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying(replace))
        patch.setattr(Path, "unlink", dying(unlink))
        with pytest.raises(Killed):
            adopted(own_release, "new", INT8, FP32)
    card = Card.load(own_release.folder)
    verify_digests(own_release.folder, card)
    assert card.engines in ((), (INT8, FP32))
    (own_release.folder / ".engines-left").mkdir()
    card = adopted(own_release, "new", INT8, FP32)
    verify_digests(own_release.folder, card)
    assert [path.name for path in own_release.folder.glob(".*")] == []


def test_prepared_files_are_removed_after_a_failure(own_release: Release) -> None:
    with pytest.raises(RuntimeError), draft(own_release.folder) as prepared:  # noqa: PT012
        prepare(prepared, "new", INT8)
        raise RuntimeError
    assert Card.load(own_release.folder) == own_release.card
    assert list(own_release.folder.glob(".*")) == []
