"""Import rules, as docs and design promise. They are read from the source, so a lazy import counts too."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "models": {"models"},
    "handlers": {"handlers", "models"},
    "training": {"training", "handlers", "models"},
    "serving": {"serving", "models"},
    "scripts": {"scripts", "serving", "training", "handlers", "models"},
}
OURS = {*MAY_IMPORT, "tests", "benchmarks", "playground"}
# What a worker has beside the standard library: both packages run from an unpacked .mar.
IN_A_WORKER = {"torch", "numpy", "PIL", "captum", "safetensors", "pydantic", "yaml", "orjson", "simplejpeg"}
ENTRY = ROOT / "handlers" / "torchserve_handler.py"


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"{package} holds no Python file"
    return found


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_lower_packages(package: str) -> None:
    wrong = {str(path.relative_to(ROOT)): imported(path) & OURS - MAY_IMPORT[package] for path in sources(package)}
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize("package", ["handlers", "models"])
def test_archived_code_imports_only_what_a_worker_has(package: str) -> None:
    allowed = IN_A_WORKER | MAY_IMPORT[package] | sys.stdlib_module_names
    wrong = {str(path.relative_to(ROOT)): imported(path) - allowed for path in sources(package) if path != ENTRY}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_only_the_handler_modules_know_torchserve() -> None:
    assert [path for package in MAY_IMPORT for path in sources(package) if "ts" in imported(path)] == [ENTRY]
    assert imported(ENTRY) - IN_A_WORKER - MAY_IMPORT["handlers"] - sys.stdlib_module_names == {"ts"}


def test_torchserve_handler_defines_one_class_and_imports_nothing_relative() -> None:
    tree = ast.parse(ENTRY.read_text(encoding="utf-8"))
    assert [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)] == ["ImageClassifier"]
    assert [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level] == []
