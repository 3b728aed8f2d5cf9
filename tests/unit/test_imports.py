"""Import rules, as docs and design promise. They are read from the source, so a lazy import counts too."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The folder that holds each package; ROOT for all others.
FOLDERS = {"torchlight_client": ROOT / "clients" / "python" / "src"}
MAY_IMPORT = {
    "torchlight_client": {"torchlight_client"},
    "models": {"models"},
    "handlers": {"handlers", "models"},
    "training": {"training", "handlers", "models"},
    "serving": {"serving", "models", "torchlight_client"},
    "scripts": {"scripts", "serving", "training", "handlers", "models", "torchlight_client"},
}
OURS = {*MAY_IMPORT, "tests", "benchmarks"}
# Packages of a worker beside the standard library: handlers and models run from an unpacked .mar.
IN_A_WORKER = {"torch", "numpy", "PIL", "captum", "safetensors", "pydantic", "yaml", "orjson", "simplejpeg"}
ENTRY = ROOT / "handlers" / "torchserve_handler.py"
# The sub-packages of serving, from the bottom up. Each may import itself and the packages of earlier rows, but not the
# others of its own row. `grpc` is beside the proxy: it is a process of its own.
SERVING_ORDER = [
    ("errors",),
    ("runtime",),
    ("artifacts",),
    ("torchserve",),
    ("grpc", "proxy"),
    ("rollout",),
    ("exporter",),
    ("web",),
    ("server",),
    ("docker", "tune"),
]


def sources(package: str) -> list[Path]:
    paths = sorted((FOLDERS.get(package, ROOT) / package).rglob("*.py"))
    assert paths, f"{package} holds no Python file"
    return paths


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def imported_modules(path: Path) -> set[str]:
    """Return the dotted names that a file imports, of modules and of names from modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def modules_of(package: str) -> dict[str, Path]:
    """Return the file of each module of a package, by its dotted name; a sub-package by the name of its folder."""
    paths = {path: path.relative_to(FOLDERS.get(package, ROOT)).with_suffix("").parts for path in sources(package)}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in paths.items()}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_lower_packages(package: str) -> None:
    wrong = {str(path.relative_to(ROOT)): imported(path) & OURS - MAY_IMPORT[package] for path in sources(package)}
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize("package", ["handlers", "models"])
def test_archived_code_imports_only_what_a_worker_has(package: str) -> None:
    allowed = IN_A_WORKER | MAY_IMPORT[package] | sys.stdlib_module_names
    wrong = {str(path.relative_to(ROOT)): imported(path) - allowed for path in sources(package) if path != ENTRY}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_the_client_needs_nothing_but_httpx() -> None:
    """NumPy and PIL are imported within functions only, for callers that have them."""
    optional = {"numpy", "PIL"}
    for path in sources("torchlight_client"):
        outside = imported(path) - sys.stdlib_module_names - {"torchlight_client", "httpx"}
        assert outside <= optional, path.name
        at_the_top = {name.partition(".")[0] for node in ast.parse(path.read_text()).body for name in _modules(node)}
        assert at_the_top & optional == set(), path.name


def test_torchserve_is_known_to_the_handler_modules_only() -> None:
    assert [path for package in MAY_IMPORT for path in sources(package) if "ts" in imported(path)] == [ENTRY]
    assert imported(ENTRY) - IN_A_WORKER - MAY_IMPORT["handlers"] - sys.stdlib_module_names == {"ts"}


def test_torchserve_handler_defines_one_class_and_imports_nothing_relative() -> None:
    tree = ast.parse(ENTRY.read_text(encoding="utf-8"))
    assert [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)] == ["ImageClassifier"]
    assert [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level] == []


def test_serving_imports_nothing_that_stands_above() -> None:
    below: set[str] = set()
    upwards = []
    for row in SERVING_ORDER:
        for package in row:
            modules = {name: path for name, path in modules_of("serving").items() if name.split(".")[1:2] == [package]}
            assert modules, f"serving has no {package}"
            for module, path in modules.items():
                packages = {name.split(".")[1] for name in imported_modules(path) if name.startswith("serving.")}
                packages &= {name for names in SERVING_ORDER for name in names}
                upwards += [f"{module} imports serving.{name}" for name in sorted(packages - below - {package})]
        below |= set(row)
    assert upwards == []


def test_each_part_of_serving_has_its_place_in_the_order() -> None:
    parts = {name.split(".")[1] for name in modules_of("serving") if "." in name}
    assert parts == {name for row in SERVING_ORDER for name in row}


@pytest.mark.parametrize("package", [*MAY_IMPORT, "benchmarks"])
def test_modules_import_each_other_in_no_circle(package: str) -> None:
    modules = modules_of(package)
    graph = {name: imported_modules(path) & modules.keys() - {name, package} for name, path in modules.items()}
    # `from training.data.folder import ...` runs training/data/__init__.py, which imports it: a package and its
    # own modules are one here.
    for name in graph:
        graph[name] -= {package for package in graph[name] if name.startswith(f"{package}.")}
    assert list(TopologicalSorter(graph).static_order())


# Modules and sub-packages of handlers/, from the bottom to the top: each imports only earlier ones.
ORDER = (
    "errors",
    "metrics",
    "modalities",
    "engines",
    "uncertainty",
    "decision",
    "options",
    "protocols",
    "isolation",
    "request",
    "batch",
    "classifier",
    "golden_answers",
    "response",
    "pipeline",
    "explain",
    "shadow",
    "torchserve_protocol",
    "torchserve_handler",
)


def inside_handlers(path: Path) -> set[str]:
    """Return the modules and sub-packages right below handlers/ that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "handlers":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("handlers."):
            names.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("handlers.")}
    return names


def test_the_order_lists_every_module_of_the_handlers() -> None:
    folder = ROOT / "handlers"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert sorted(ORDER) == sorted(modules | packages)
    assert len(modules) <= 14


@pytest.mark.parametrize("name", ORDER)
def test_handlers_import_downwards_only(name: str) -> None:
    """A sub-package whose modules all import downwards is in no circle."""
    allowed = set(ORDER[: ORDER.index(name) + 1])
    package = ROOT / "handlers" / name
    files = sorted(package.rglob("*.py")) if package.is_dir() else [package.with_suffix(".py")]
    wrong = {str(path.relative_to(ROOT)): inside_handlers(path) - allowed for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_explanations_are_plugged_in_at_one_place() -> None:
    importers = [path for path in sources("handlers") if "explain" in inside_handlers(path)]
    outside = [path for path in importers if ROOT / "handlers" / "explain" not in path.parents]
    assert outside == [ENTRY]
    top_level = {name for node in ast.parse(ENTRY.read_text()).body for name in _modules(node)}
    assert not any(name.startswith("handlers.explain") for name in top_level), "it is imported within a function"


def _modules(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
