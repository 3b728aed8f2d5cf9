from __future__ import annotations

from pathlib import Path

from serving.runtime import atomic_files


def test_written_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    atomic_files.write(path, "geheim ✓\n")
    assert path.read_text(encoding="utf-8") == "geheim ✓\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_writing_replaces_the_file_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old and much longer", encoding="utf-8")
    path.chmod(0o644)
    atomic_files.write(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_added_one_by_one(tmp_path: Path) -> None:
    for line in ("one", "zwei ✓"):
        atomic_files.append_line(tmp_path / "journal", line)
    assert (tmp_path / "journal").read_text(encoding="utf-8") == "one\nzwei ✓\n"


def test_truncated_line_does_not_damage_the_next(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("whole\ncut sh", encoding="utf-8")
    atomic_files.append_line(tmp_path / "journal", "next")
    assert (tmp_path / "journal").read_text(encoding="utf-8") == "whole\ncut sh\nnext\n"
