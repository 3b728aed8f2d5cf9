"""The registry of attribution methods: a new method is one new file, and names of methods need no captum."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handlers.explain.registry import METHODS

REPOSITORY = Path(__file__).parents[4]

NEW_METHOD = """
from handlers.explain.methods.method import Method, Passes

METHOD = Method(
    name="constant",
    title="Constant",
    rank=15,
    attribute=lambda target_score, inputs, settings: inputs.images * 0,
    passes=lambda settings: Passes(0, 0),
)
"""
PROGRAM = """
import json
from scripts.maintenance.openapi.__main__ import document
from handlers import options
from handlers.explain.registry import METHODS
from handlers.explain.scheduling.deadline import ranked_methods

schemas = document()["components"]["schemas"]
print(json.dumps({
    "methods": list(METHODS),
    "option": options.parse([("method", "constant", "query")], "explain").method,
    "option schema": schemas["method"]["enum"],
    "response schema": schemas["Explanation"]["properties"]["method"]["enum"],
    "ranked": [method.name for method in ranked_methods(METHODS, "ig", {})],
}))
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def repository_copy(tmp_path: Path) -> Path:
    """A copy of the packages that the OpenAPI document is made from."""
    for package in ("handlers", "models", "serving", "scripts", "deploy"):
        shutil.copytree(REPOSITORY / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "config.properties", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_registry_has_a_method_after_its_file_was_added(repository_copy: Path) -> None:
    (repository_copy / "handlers" / "explain" / "methods" / "constant.py").write_text(NEW_METHOD)
    result = run(PROGRAM, repository_copy)
    assert result.returncode == 0, result.stderr
    first, *others = METHODS
    names = [first, "constant", *others]
    assert json.loads(result.stdout) == {
        "methods": names,
        "option": "constant",
        "option schema": names,
        "response schema": names,
        "ranked": ["ig", *(name for name in names if name != "ig")],
    }


@pytest.mark.slow
def test_registry_rejects_two_files_with_the_same_method_name(repository_copy: Path) -> None:
    path = repository_copy / "handlers" / "explain" / "methods" / "other.py"
    path.write_text(NEW_METHOD.replace("constant", "ig"))
    result = run("import handlers.explain.registry", repository_copy)
    assert "two files of handlers.explain.methods have the same method name" in result.stderr


@pytest.mark.slow
def test_registry_does_not_import_captum() -> None:
    program = "import sys, handlers.explain.registry; print('captum' in sys.modules)"
    assert run(program, REPOSITORY).stdout == "False\n"
