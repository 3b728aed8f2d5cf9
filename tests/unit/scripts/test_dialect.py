"""Messages name flags and commands; for a target of make, its variables and targets."""

from __future__ import annotations

import re

import pytest

from scripts import cli, dialect
from tests.unit.scripts.test_makefile import RECIPES, variables

# Recipes that run a command of torchlight.
COMMAND_RECIPES = {
    target: recipe for target, recipe in RECIPES.items() if re.search(r"\$\((TORCHLIGHT|WORDS)\)", recipe)
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("train one with `torchlight train --model cells`", "train one with `make train MODEL=cells`"),
        ("stop:  torchlight stop --port 8081\nnext", "stop:  make stop PORT=8081\nnext"),
        ("`torchlight docker serve --port=8081 --gpu`", "`make docker-serve PORT=8081 GPU=1`"),
        ("`torchlight train --data 'my photos' --resume`", "`make train DATA='my photos' RESUME=1`"),
        (
            "`torchlight versions register --version 2.0` and `torchlight versions promote --version 2.0`",
            "`make register VERSION=2.0` and `make promote VERSION=2.0`",
        ),
        ("another with `torchlight serve --model cells --version`", "another with `make serve MODEL=cells VERSION=`"),
        ("choose another with --port, such as --port=9080", "choose another with PORT=, such as PORT=9080"),
        (
            "leave --proxy=0 out; use --restart or --without-neighbors",
            "leave PROXY=0 out; use RESTART=1 or NEIGHBORS=0",
        ),
        ("with --ood-data, not --data", "with OOD_DATA=, not DATA="),
    ],
)
def test_flags_and_commands_become_variables_and_targets(message: str, expected: str) -> None:
    assert dialect.in_make(message) == expected
    assert dialect.in_make(expected) == expected


@pytest.mark.parametrize(
    "message",
    [
        "turn progressive training off (--set progressive=null)",
        "`torchlight train --set epochs=3 --data photos`",
        "`torchlight predict a.png --port 8081`",
        "help:  torchlight train --help",
        "curl --data-binary @a.png; dcmj2pnm --write-png",
    ],
)
def test_message_without_a_variable_stays(message: str) -> None:
    assert dialect.in_make(message) == message


def test_tables_are_those_of_the_makefile() -> None:
    text = "".join(COMMAND_RECIPES.values())
    assert dict(sorted(variables("flag", text) + variables("number", text))) == dialect.VARIABLES
    switches = {flag: f"{name}=1" for flag, name in variables("switch", text)}
    assert switches | {"--without-neighbors": "NEIGHBORS=0"} == dialect.SWITCHES
    assert sorted(dialect.TARGETS.values()) == sorted(COMMAND_RECIPES)
    assert set(dialect.TARGETS) <= set(cli.commands())
    for command, target in dialect.TARGETS.items():
        assert re.search(rf"\b{command}\b", COMMAND_RECIPES[target].replace("$@", target)), target


@pytest.mark.parametrize(
    ("caller", "error"),
    [
        ("", "error: --cors-origins needs the proxy: leave --proxy=0 out\n"),
        ("make", "error: CORS_ORIGINS= needs the proxy: leave PROXY=0 out\n"),
    ],
)
def test_error_is_in_the_dialect_of_the_caller(
    caller: str, error: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHLIGHT_DIALECT", caller)
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", "--cors-origins", "https://lab.example", "--proxy", "0"])
    assert (ended.value.code, capsys.readouterr().err) == (2, error)
