"""Check that each variable of the Makefile reaches its command as it was typed, for every target."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import cli

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "Makefile").read_text(encoding="utf-8")
# Writes its arguments and the variables that hold lists, each ended by a null byte.
STUB = '#!/bin/sh\nprintf \'%s\\0\' "$@" "IMAGE is $IMAGE" "MORE is $MORE" >> "$ARGUMENTS"\n'


def recipes() -> dict[str, str]:
    """The recipe of each target, with the recipes' own shorthands written out."""
    shorthands = dict(re.findall(r"^(WHICH|WHERE) = (.*)$", TEXT, re.MULTILINE))
    by_target = {}
    for names, lines in re.findall(r"^([a-z][a-z -]*):.*\n((?:\t.*\n)+)", TEXT, re.MULTILINE):
        for name, content in shorthands.items():
            lines = lines.replace(f"$({name})", content)
        by_target |= dict.fromkeys(names.split(), lines)
    return by_target


RECIPES = recipes()
LISTED = re.findall(r"^VARIABLES := ((?:.*\\\n)*.*)$", TEXT, re.MULTILINE)[0].replace("\\\n", "").split()
LISTS = ("IMAGE", "MORE")
# Of explain, which has two commands.
CHOOSES = {"explain": {"DIR": "photos"}}

# Every character that make, a shell, Python's argparse or Docker could take for something else than itself.
# A space in front is missing: make takes that away from what is typed, before it reads the Makefile.
NASTY = (
    "my photos & R$D (1); $(touch pwned) `touch pwned` | touch pwned $(shell touch pwned)$(PORT)$PORT${PORT}$$\n"
    'it\'s "quoted" \\ and \\\\ * ? [a] ~ ! # % = : < > ^ { } @ größe 日本 e\u0301 \\',
    "-leading",
)


def variables(kind: str, recipe: str) -> list[tuple[str, str]]:
    """The flags and variables that a recipe passes on by a function of the Makefile."""
    return re.findall(rf"\$\(call {kind},([\w-]+),(\w+)\)", recipe)


FLAGS = {target: variables("flag", recipe) for target, recipe in RECIPES.items()}
WORDS = {target: re.findall(r"\$\(call argument,(\w+)\)", recipe) for target, recipe in RECIPES.items()}
SWITCHES = sorted({name for recipe in RECIPES.values() for name in re.findall(r"call on,(\w+)\)", recipe)} | {
    name for recipe in RECIPES.values() for kind in ("switch", "number") for _, name in variables(kind, recipe)
})  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Makefile, where Python writes its arguments."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    programs = [tmp_path / ".venv" / "bin" / name for name in ("python", "torchlight", "ruff")]
    for stub in (*programs, tmp_path / "a python"):
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(STUB)
        stub.chmod(0o755)
    return tmp_path


def make(folder: Path, target: str, *typed: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in LISTED and not name.startswith("MAKE")}
    return subprocess.run(
        ["make", target, f"PYTHON={folder}/a python", *typed],
        cwd=folder,
        env={**clean, "ARGUMENTS": str(folder / "arguments"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def arguments(folder: Path, target: str, *typed: str, **environment: str) -> list[str]:
    """Return the arguments of a target's commands, those of its set-up first."""
    (folder / "arguments").unlink(missing_ok=True)
    done = make(folder, target, *typed, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not (folder / "pwned").exists()
    return (folder / "arguments").read_text(encoding="utf-8").split("\0")


def test_recipes_name_their_variables_by_functions_alone() -> None:
    """So that none is read by make or the shell, and each is listed."""
    assert {"train", "serve", "predict", "docker-serve", "retire", "measure"} - set(RECIPES) == set()
    for target, recipe in RECIPES.items():
        named = set(re.findall(r"\$[({](\w+)[)}]", recipe)) - {"RUN", "TORCHLIGHT", "WORDS", "MAKEFILE_LIST"}
        conditions = set(re.findall(r"\$\(if \$\((\w+)\)", recipe))
        assert named - conditions == set(), target
        by_function = set(re.findall(r"\(call (?:argument|on),(\w+)\)", recipe)) | conditions
        by_function |= {name for kind in ("flag", "switch", "number") for _, name in variables(kind, recipe)}
        assert by_function - set(LISTED) == set(), target
        assert not re.search(r"\$\$", recipe.replace("$$1, $$2", "")), target


def test_each_variable_that_has_a_default_or_is_taught_is_listed_and_used() -> None:
    taught = {name for line in TEXT.splitlines() if "## " in line for name in re.findall(r"\b([A-Z][A-Z\d_]*)=", line)}
    defaults = set(re.findall(r"^(\w+) \?=", TEXT, re.MULTILINE))
    assert (taught | defaults) - set(LISTED) == set()
    used = {name for recipe in RECIPES.values() for name in re.findall(r"\w+", recipe)}
    assert set(LISTED) - used == set()


@pytest.mark.parametrize("target", [target for target in RECIPES if FLAGS[target] or set(WORDS[target]) - {"PYTHON"}])
@pytest.mark.parametrize("where", ["typed", "in the environment"])
def test_values_arrive_as_they_were_typed(folder: Path, target: str, where: str) -> None:
    names = [name for _, name in FLAGS[target]] + [name for name in WORDS[target] if name not in ("PYTHON", "DIR")]
    for value in NASTY:
        values = {name: f"{value}{name}{value}" for name in names}
        runs = [{}] if target not in CHOOSES else [{}, {**CHOOSES[target], "DIR": value}]
        received: list[str] = []
        for more in runs:
            assignments = values | more
            if where == "typed":
                received += arguments(folder, target, *(f"{name}={text}" for name, text in assignments.items()))
            else:
                received += arguments(folder, target, **assignments)
        assert received[0] == "scripts/setup.py"
        for flag, name in FLAGS[target]:
            assert f"{flag}={values[name]}" in received, (flag, name)
        for name in set(WORDS[target]) & set(values):
            after = received[received.index("--") + 1 :]
            assert values[name] in after, name
        if "DIR" in WORDS[target]:
            assert value in received


@pytest.mark.parametrize(("target", "name"), [("predict", "IMAGE"), ("train", "MORE")])
def test_lists_are_handed_on_whole(folder: Path, target: str, name: str) -> None:
    for value in NASTY:
        received = arguments(folder, target, f"{name}={value}")
        assert f"{name} is {value}" in received[-4:]
        assert received[received.index("-m") :][1:3] == ["scripts.maintenance.shell_words", name]


@pytest.mark.parametrize("target", RECIPES)
def test_recipes_name_commands_and_flags_that_exist(target: str) -> None:
    text = re.sub(r"\$\(if \$\(MORE\),.*?\)\) ", "$(TORCHLIGHT) ", RECIPES[target].replace("$@", target))
    text = text.replace("$(WORDS) IMAGE", "$(TORCHLIGHT)")
    for name in re.findall(r"\$\(TORCHLIGHT\) ([a-z -]+[a-z])", text):
        flags = {flag for argument in cli.commands()[name].assemble_argument_collection() for flag in argument.names}
        assert {flag for flag, _ in FLAGS[target]} - flags == set()


def test_unset_variables_are_not_passed_on(folder: Path) -> None:
    received = arguments(folder, "train")
    assert received[received.index("docker") + 3 : -3] == ["train"]
    received = arguments(folder, "serve", "PORT=", "MODEL=")
    assert not [word for word in received if word.startswith(("--port", "--model"))]


@pytest.mark.parametrize(("target", "program"), [("stop", "torchlight"), ("predict", "python")])
def test_commands_are_told_to_write_messages_for_make(folder: Path, target: str, program: str) -> None:
    (folder / ".venv" / "bin" / program).write_text("#!/bin/sh\nprintf '%s' \"$TORCHLIGHT_DIALECT\"\n")
    assert make(folder, target).stdout == "make"


def test_a_variable_of_somebody_elses_passes_make_as_it_is(folder: Path) -> None:
    done = make(folder, "samples", "PIP_EXTRA_INDEX_URL=https://a.example/$(shell touch pwned)$x")
    assert done.returncode == 0
    assert not (folder / "pwned").exists()
    (folder / ".venv" / "bin" / "torchlight").write_text("#!/bin/sh\nprintf '%s' \"$PIP_EXTRA_INDEX_URL\"\n")
    done = make(folder, "samples", "PIP_EXTRA_INDEX_URL=https://a.example/$(shell touch pwned)$x")
    assert done.stdout == "https://a.example/$(shell touch pwned)$x"
    assert not (folder / "pwned").exists()


# ---- switches


def users(name: str) -> list[str]:
    """The targets that have a switch."""
    return [
        target for target, recipe in RECIPES.items() if re.search(rf"call (on|(switch|number),[\w-]+),{name}\)", recipe)
    ]


def test_the_switches_are_these() -> None:
    assert SWITCHES == ["DRY_RUN", "FOREGROUND", "GPU", "NEIGHBORS", "PROXY", "RESTART", "RESUME", "UNBATCHED_WORKER"]


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_on_or_off_and_off_where_it_is_empty(folder: Path, name: str) -> None:
    for target in users(name):
        more = [f"{key}={value}" for key, value in CHOOSES.get(target, {}).items()]
        on = [arguments(folder, target, f"{name}={word}", *more) for word in ("1", "yes", "TRUE", " on ")]
        off = [arguments(folder, target, f"{name}={word}", *more) for word in ("0", "no", "False", "", " ")]
        assert all(received == on[0] for received in on), target
        assert all(received == off[0] for received in off), target
        assert on[0] != off[0], target
        assert arguments(folder, target, *more, **{name: "0"}) == off[0], target


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", ["maybe", "2", "0 1", "yes;no"])
def test_switch_values_other_than_yes_or_no_are_refused(folder: Path, name: str, value: str) -> None:
    for target in users(name):
        more = [f"{key}={choice}" for key, choice in CHOOSES.get(target, {}).items()]
        done = make(folder, target, f"{name}={value}", *more)
        assert done.returncode == 2
        assert f"{name} is '{value}'; give 1 for yes or 0 for no" in done.stderr
