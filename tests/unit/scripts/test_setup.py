from __future__ import annotations

import ast
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from scripts import setup

PROJECT = """
[project]
dependencies = ["torch"]
[project.optional-dependencies]
train = ["tqdm", "matplotlib"]
dev = ["pytest"]
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own to set up, so that the real one is left alone."""
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n", encoding="utf-8")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    monkeypatch.setattr(setup, "ROOT", str(tmp_path))
    monkeypatch.setattr(setup, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(setup, "STAMP", str(tmp_path / ".venv" / "stamp.json"))
    return tmp_path


@pytest.fixture
def ran(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that set-up would have run: they take minutes and a network."""
    commands: list[list[str]] = []
    monkeypatch.setattr(setup, "run", commands.append)
    monkeypatch.setattr(setup, "add_client", lambda python: None)
    monkeypatch.setattr(setup, "make_java_cache", lambda python: None)
    return commands


def test_setup_writes_the_launcher(ran: list[list[str]], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "NEEDED_BYTES", 0)
    launcher = root / ".venv" / "bin" / "torchlight"
    main(monkeypatch)
    content = launcher.read_text(encoding="utf-8")
    launcher.unlink()
    main(monkeypatch)  # with nothing to install
    assert launcher.read_text(encoding="utf-8") == content
    assert launcher.stat().st_mode & 0o777 == 0o755


def test_setup_makes_the_java_cache_once(root: Path, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "NEEDED_BYTES", 0)
    installed: list[int] = []
    monkeypatch.setattr(setup, "make_java_cache", lambda python: installed.append(len(ran)))
    main(monkeypatch)
    assert installed == [len(ran)]  # after the last of the commands
    main(monkeypatch)
    assert installed == [len(ran)]


def test_setup_continues_without_a_java_cache(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    setup.make_java_cache(sys.executable)  # there are no scripts in this root
    assert (
        capfd.readouterr().out == "  without the Java AOT cache everything works, and a start takes a second longer\n"
    )


def test_setup_makes_the_client_importable_from_its_source(root: Path) -> None:
    venv.create(root / ".venv", symlinks=True)
    python = str(root / ".venv" / "bin" / "python")
    setup.add_client(python)
    package = root / "clients" / "python" / "src" / "torchlight_client"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    code = "import torchlight_client; print(torchlight_client.__file__)"
    assert subprocess.check_output([python, "-c", code], text=True).strip() == str(package / "__init__.py")


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["setup.py", *arguments])
    setup.main()


def test_pythons_that_are_too_old_can_read_it() -> None:
    source = Path(str(setup.__file__)).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"hashlib", "json", "os", "shutil", "subprocess", "sys", "tempfile"}
    assert [node for node in tree.body if isinstance(node, ast.ImportFrom)] == []


def test_a_python_that_is_too_old_is_told_so(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "OLDEST", (9, 8))
    with pytest.raises(SystemExit) as ended:
        main(monkeypatch, "train")
    this = "{}.{}".format(*sys.version_info[:2])
    assert ended.value.code == (
        f"error: Torchlight needs Python 9.8 or newer, and this is {this} ({sys.executable}): install one and run "
        "`make setup PYTHON=python3.11`"
    )
    assert ran == []


def test_the_oldest_python_is_the_one_that_the_project_declares() -> None:
    import tomllib

    project = tomllib.loads((Path(setup.ROOT) / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">={}.{}".format(*setup.OLDEST)


def test_extras_add_to_what_serving_needs(root: Path) -> None:
    assert setup.requirements_of([]) == ["torch"]
    assert setup.requirements_of(["train"]) == ["torch", "tqdm", "matplotlib"]
    assert setup.requirements_of(["dev", "train"]) == ["torch", "pytest", "tqdm", "matplotlib"]


def test_the_fingerprint_changes_with_the_pins_and_the_requirements_alone(root: Path) -> None:
    before = setup.fingerprint(["a", "b"])
    assert setup.fingerprint(["b", "a"]) == before
    assert setup.fingerprint(["a", "b", "c"]) != before
    (root / "constraints.txt").write_text("torch==2.13.1\n", encoding="utf-8")
    assert setup.fingerprint(["a", "b"]) != before


def test_the_fingerprint_changes_where_the_folder_was_moved(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = setup.fingerprint(["a"])
    monkeypatch.setattr(setup, "VENV", str(root / "elsewhere"))
    assert setup.fingerprint(["a"]) != before


@pytest.mark.parametrize("text", [None, "", "{", "5", "{}"])
def test_a_stamp_that_is_missing_or_damaged_means_not_set_up(
    root: Path, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(setup, "NEEDED_BYTES", 0)
    if text is not None:
        Path(setup.STAMP).write_text(text, encoding="utf-8")
    main(monkeypatch)
    assert ran[-1][-1] == "torch"


def test_pip_installs_the_requirements_with_the_pinned_versions(
    root: Path, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "NEEDED_BYTES", 0)
    main(monkeypatch, "train")
    venv, pip = ran
    assert venv == [sys.executable, "-m", "venv", "--clear", str(root / ".venv")]
    assert pip[:4] == [str(root / ".venv" / "bin" / "python"), "-m", "pip", "install"]
    assert pip[pip.index("-c") + 1] == str(root / "constraints.txt")
    assert pip[-3:] == ["torch", "tqdm", "matplotlib"]


def test_unchanged_setup_does_nothing(
    root: Path, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "NEEDED_BYTES", 0)
    main(monkeypatch, "train")
    ran.clear()
    capsys.readouterr()
    main(monkeypatch, "train")
    main(monkeypatch)
    assert (ran, capsys.readouterr().out) == ([], "")


def test_an_extra_that_was_installed_once_stays(
    root: Path, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "NEEDED_BYTES", 0)
    main(monkeypatch, "train")
    main(monkeypatch, "dev")
    assert ran[-1][-4:] == ["torch", "pytest", "tqdm", "matplotlib"]
    assert json.loads(Path(setup.STAMP).read_text(encoding="utf-8"))["extras"] == ["dev", "train"]


def test_a_full_disk_is_told_before_anything_is_fetched(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "NEEDED_BYTES", 10**18)
    with pytest.raises(SystemExit, match=r"error: the disk is nearly full: \d+\.\d GB are free"):
        main(monkeypatch)
    assert ran == []


@pytest.mark.parametrize("argument", ["nonsense", "--color"])
def test_an_extra_there_is_not_is_one_sentence(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(monkeypatch, argument)
    assert argument in str(ended.value.code)
    assert ran == []


@pytest.mark.parametrize(
    ("pip_error", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "error: the disk is full: free 3 GB"),
        ("PermissionError: [Errno 13] Permission denied", "cannot be written: run it as its owner"),
        ("ERROR: No matching distribution (from versions: none)", "error: pip reaches no package index"),
        ("NewConnectionError: Name or service not known", "error: pip reaches no package index"),
        ("something else", "failed: the lines above say why"),
    ],
)
def test_pip_errors_become_remedies(root: Path, capfd: pytest.CaptureFixture[str], pip_error: str, remedy: str) -> None:
    code = f"import sys; sys.stderr.write({pip_error!r}); sys.exit(1)"
    with pytest.raises(SystemExit) as ended:
        setup.run([sys.executable, "-c", code])
    assert remedy in str(ended.value.code)
    assert (pip_error in capfd.readouterr().err) is (pip_error == "something else")


def test_setup_shows_downloads_and_hides_the_python_path(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    code = "import os; print('Collecting torch==2.13.0'); print('noise'); print('Collecting', os.getenv('PYTHONPATH'))"
    setup.run([sys.executable, "-c", code])
    assert capsys.readouterr().out == "  Collecting torch==2.13.0\n  Collecting None\n"
