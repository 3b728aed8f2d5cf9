"""Every command teaches itself: `--help` answers, and no flag is left unexplained."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
# setup.py runs before there is anything to import: it has tests of its own.
COMMANDS = sorted(
    ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)
    for path in SCRIPTS.rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8") and path.stem not in ("setup", "__main__")
)


def test_commands_of_the_quickstart_exist() -> None:
    assert {"train", "archive", "serve", "predict", "explain", "stop", "maintenance.samples"} - set(COMMANDS) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_answered_with_exit_status_0(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = importlib.import_module(f"scripts.{name}")
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert output.startswith(f"usage: python -m scripts.{name}")
    assert str(command.__doc__).split()[:3] == output.split("\n\n")[1].split()[:3]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_flag_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"scripts.{name}").main(["--color", "red"])
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_every_flag_has_a_help_text(path: Path) -> None:
    unexplained = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            texts = [keyword.value for keyword in node.keywords if keyword.arg == "help"]
            if not texts or (isinstance(texts[0], ast.Constant) and not texts[0].value):
                unexplained.append(ast.unparse(node))
    assert unexplained == []
