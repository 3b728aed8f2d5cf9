"""`torchlight`: each command explains itself, usage errors end with 2, and values arrive as they were typed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import cli, setup
from tests.unit.scripts.test_makefile import NASTY

ROOT = Path(__file__).resolve().parents[3]
NAMES = sorted(cli.commands())


def test_commands_of_the_quickstart_exist() -> None:
    assert {"train", "archive", "serve", "predict", "explain", "stop", "maintenance samples"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_an_example_and_ends_with_exit_status_0(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([*name.split(), "--help"])
    output = capsys.readouterr().out
    assert output.startswith(f"Usage: torchlight {name}")
    assert re.search(rf"For example:\s+torchlight {name}\b", output)


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_has_a_help_text(name: str) -> None:
    arguments = cli.commands()[name].assemble_argument_collection(parse_docstring=True)
    assert [argument.name for argument in arguments if argument.show and not argument.parameter.help] == []


@pytest.mark.parametrize("name", NAMES)
def test_unknown_flag_ends_with_exit_status_2(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*name.split(), "--color", "red", "--version", "1.0"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: Unknown option: --color")
    assert error.endswith(f"\nhelp:  torchlight {name} --help\n")


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["versions", "promote"], "--version is missing"),
        (["stop", "--port"], "--port needs a value"),
        (["predict"], "IMAGES is missing"),
        (["stop", "--port", "x"], 'Invalid value for --port: unable to convert "x" into int.'),
        (["serve", "--mode", "test"], 'Invalid value "test" for --mode. Choose from: "development", "production".'),
        (["serve", "--log-mb", "nan"], 'Invalid value "nan" for --log-mb. Give a number from 0.1 to 100000.'),
    ],
)
def test_usage_errors_name_the_flag(tokens: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(tokens)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}\nhelp:  torchlight ")


@pytest.mark.parametrize(("tokens", "output"), [(["--help"], "Usage: torchlight COMMAND"), (["--version"], "0.1.0")])
def test_overview_and_version_need_no_torch(tokens: list[str], output: str) -> None:
    assert _modules_of(tokens).startswith(output)


def test_misspelt_command_is_refused_without_torch() -> None:
    assert "error: Unknown command 'trian'. Did you mean train? There are train, evaluate," in _modules_of(["trian"])


def _modules_of(tokens: list[str]) -> str:
    """Run `torchlight` in a process of its own, and check that it imports nothing that takes seconds."""
    code = (
        "import sys\nfrom scripts import cli\ntry:\n    cli.main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'pydantic', 'training'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code, *tokens], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("[]\n")
    return done.stdout + done.stderr


def test_each_module_runs_its_own_command() -> None:
    """So that `python -m scripts.stop` is `torchlight stop`."""
    wrong = []
    for path in (ROOT / "scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "cli.run":
                name = " ".join(str(ast.literal_eval(word)) for word in node.args)
                modules = {command.default_command.__module__ for command in _commands_of(name)}
                if modules != {".".join(path.relative_to(ROOT).with_suffix("").parts)}:
                    wrong.append(str(path))
    assert wrong == []


def _commands_of(name: str) -> list[cli.App]:
    """Return the command of this name, or all commands of a group."""
    return [command for full_name, command in cli.commands().items() if f"{full_name} ".startswith(f"{name} ")]


@pytest.mark.parametrize("value", NASTY)
def test_values_arrive_as_they_were_typed(value: str) -> None:
    _, bound, _ = cli.app.parse_args(["train", f"--data={value}", f"--set={value}", "--set", "a=b"])
    assert (bound.kwargs["flags"].data, bound.kwargs["flags"].set) == (value, (value, "a=b"))
    _, bound, _ = cli.app.parse_args(["predict", f"--model={value}", "--", value, "b.png"])
    assert bound.args == (value, "b.png")
    assert bound.kwargs["server"].model == value


def test_last_value_of_a_repeated_flag_counts() -> None:
    _, bound, _ = cli.app.parse_args(["stop", "--port", "8081", "--port=8082"])
    assert bound.kwargs == {"port": 8082}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_flags(shell: str) -> None:
    script = cli.app.generate_completion(shell=shell)  # type: ignore[arg-type]
    assert all(word in script for word in ("explain-report", "promote", "ood-data", "unbatched-worker", "wheelhouse"))


@pytest.mark.parametrize("value", NASTY)
def test_launcher_finds_the_project_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    project = tmp_path / "my project"
    (project / "scripts").mkdir(parents=True)
    (project / "scripts" / "cli.py").write_text(
        "import os, sys\ndef main():\n    print(os.getcwd(), *sys.argv[1:], sep='\\0', end='')\n"
    )
    launcher = project / ".venv" / "bin" / "torchlight"
    launcher.parent.mkdir(parents=True)
    (launcher.parent / "python").symlink_to(sys.executable)
    monkeypatch.setattr(setup, "VENV", str(project / ".venv"))
    setup.write_launcher()
    (tmp_path / "torchlight").symlink_to(launcher)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (launcher, tmp_path / "torchlight"):
        done = subprocess.run([path, "train", value], cwd=elsewhere, capture_output=True, text=True)
        assert (done.stderr, done.stdout.split("\0")) == ("", [str(elsewhere), "train", value])
