"""`torchlight`: the commands of scripts/ as one command. `python -m scripts.<module>` runs them too.

A module is imported when its command runs, because torch takes seconds to import. Help texts of commands are therefore
read from the files: the docstring of a module is the help of its command.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError, Group, MissingArgumentError, Parameter, UnknownCommandError

from scripts.command import UsageError, command
from serving import VERSION

ROOT = Path(__file__).resolve().parent.parent
HELP = """Train an image classifier, serve it with TorchServe, and see why it answered as it did.

`torchlight COMMAND --help` explains a command and has an example. Releases, archives and servers are in `releases`,
`model_store` and `.run` of the current folder.
"""
TRAINING, SERVING, CLIENT, PROJECT, OPTIONS = (
    Group(name, sort_key=order)
    for order, name in enumerate(("Training", "Serving", "Requests to a server", "This project", "Options"))
)


def _shown(default: object) -> str | None:
    """Return the text of a default value for the help; None hides a value that means "not given"."""
    return None if default is None or default is False or default in ((), "") else str(default)


# A flag that is given twice has its last value, as a wrapper of a command may append flags.
FLAGS = Parameter(negative=(), allow_repeating=True, show_default=_shown)

app = App(
    name="torchlight",
    help=HELP,
    help_format="markdown",
    version=VERSION,
    default_parameter=FLAGS,
    result_action="return_value",
)


def _help(module: str) -> str:
    """Return the docstring of a module without importing it."""
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    return text.split('"""', 2)[1]


def _add(parent: App, name: str, module: str, group: Group | None = None, *, attribute: str = "main") -> None:
    """Add the command of a module. Its `--version` is that of a model, so it gets no flag for the project's version."""
    flags = {"version_flags": ()} if attribute == "main" else {}
    order = len(list(parent))
    parent.command(f"{module}:{attribute}", name=name, help=_help(module), group=group, sort_key=order, **flags)


_add(app, "train", "scripts.train", TRAINING)
_add(app, "evaluate", "scripts.evaluation.evaluate", TRAINING)
_add(app, "compare", "scripts.evaluation.compare", TRAINING)
_add(app, "explain-report", "scripts.evaluation.explain_report", TRAINING)
_add(app, "gallery", "scripts.evaluation.gallery.__main__", TRAINING)
_add(app, "optimize", "scripts.optimize", TRAINING)
_add(app, "shortcut-demo", "scripts.evaluation.shortcut", TRAINING)
_add(app, "archive", "scripts.archive", SERVING)
_add(app, "tune", "scripts.tune.__main__", SERVING)
_add(app, "serve", "scripts.serve", SERVING)
_add(app, "health", "scripts.health", SERVING)
_add(app, "stop", "scripts.stop", SERVING)
_add(app, "versions", "scripts.versions", SERVING, attribute="app")
_add(app, "rollout", "scripts.rollout.__main__", SERVING, attribute="app")
_add(app, "docker", "scripts.docker", SERVING, attribute="app")
_add(app, "predict", "scripts.predict", CLIENT)
_add(app, "explain", "scripts.explain", CLIENT)

maintenance = App(
    name="maintenance",
    help="Keep the project itself in order: caches, samples, wheels and generated files.",
    version_flags=(),
    group=PROJECT,
)
app.command(maintenance)
_add(maintenance, "java-cache", "scripts.maintenance.java_cache")
_add(maintenance, "samples", "scripts.maintenance.samples")
_add(maintenance, "wheelhouse", "scripts.maintenance.wheelhouse")
_add(maintenance, "openapi", "scripts.maintenance.openapi.__main__")
_add(maintenance, "reference", "scripts.maintenance.reference.__main__")

app.register_install_completion_command(
    help="Install completion of commands and flags for bash, zsh or fish. For example:\n\n"
    "    torchlight --install-completion --shell bash\n",
    version_flags=(),
)
for _flag in ("--help", "--version", "--install-completion"):
    app[_flag].group = OPTIONS


@command
def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command that the tokens name; None stands for the command line."""
    try:
        app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        name = " ".join(("torchlight", *(error.command_chain or ())))
        raise UsageError(f"{_sentence(error)}\nhelp:  {name} --help") from None


def _sentence(error: CycloptsError) -> str:
    """Return the message of an error. Cyclopts would import all modules to list the commands."""
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        typed = [name for name in error.argument.names if name in (error.root_input_tokens or ())]
        return f"{typed[0]} needs a value" if typed else f"{error.argument.name} is missing"
    if isinstance(error, UnknownCommandError) and error.app and error.unused_tokens:
        names = [name for name in error.app if not name.startswith("-")]
        similar = difflib.get_close_matches(error.unused_tokens[0], names, n=1)
        hint = f"Did you mean {similar[0]}? " if similar else ""
        return f"Unknown command {error.unused_tokens[0]!r}. {hint}There are {', '.join(names)}."
    return str(error)


def commands(parent: App = app) -> dict[str, App]:
    """Return all commands by name, such as `versions promote`. Imports their modules, which takes seconds.

    The help of a command is `.help`, and `.assemble_argument_collection(parse_docstring=True)` has its flags.
    """
    by_name: dict[str, App] = {}
    for name, child in parent.resolved_commands().items():
        if child.default_command is None:
            by_name |= {f"{name} {sub_name}": command_app for sub_name, command_app in commands(child).items()}
        elif not name.startswith("-"):
            by_name[name] = child
    return by_name


def run(*name: str) -> None:
    """Run one command with the flags of the command line, for `python -m`."""
    main([*name, *sys.argv[1:]])
