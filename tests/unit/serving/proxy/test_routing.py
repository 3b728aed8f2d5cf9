from __future__ import annotations

from pathlib import Path

from serving.artifacts.store import Archive
from serving.proxy import routing


def archives(*names: str) -> list[Archive]:
    return [Archive(Path(f"{name}.mar"), *name.split("-")) for name in names]


def test_map_has_each_default_and_each_version() -> None:
    assert routing.text(archives("digits-2.0", "digits-1.0", "pets-3")) == (
        "digits 2.0\ndigits/2.0 2.0\ndigits/1.0 1.0\npets 3\npets/3 3\n"
    )


def test_map_without_archives_is_empty() -> None:
    assert routing.text([]) == ""


def test_map_reads_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "versions.map").write_text(routing.text(archives("digits-2.0")), encoding="utf-8")
    assert routing.read(tmp_path / "versions.map") == {"digits": "2.0", "digits/2.0": "2.0"}


def test_missing_map_is_empty(tmp_path: Path) -> None:
    assert routing.read(tmp_path / "versions.map") == {}


def test_list_of_models_has_each_name_once() -> None:
    versions = routing.text(archives("digits-2.0", "digits-1.0", "pets-3"))
    assert routing.models_text(versions) == 'models ["digits","pets"]\n'
    assert routing.models_text("") == "models []\n"
