"""Run a command with the words of an environment variable as its last arguments, as `make` does for MORE= and IMAGE=.

Spaces separate the words. Quotes and backslashes keep spaces within a word, as in a shell. All other characters, such
as `$`, `;` and `*`, have no special meaning. A value that names an existing file is one word.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
from pathlib import Path

from scripts.command import command


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, split the variable and run the command in this process."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.maintenance.shell_words",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("variable", help="name of the environment variable, such as IMAGE")
    parser.add_argument("command", help="module of the command, such as scripts.predict")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="first arguments of the command")
    arguments = parser.parse_args(argv)
    words = split(arguments.variable, os.environ.get(arguments.variable, ""))
    importlib.import_module(arguments.command).main([*arguments.arguments, *words])


def split(variable: str, value: str) -> list[str]:
    """Return the words of a variable's value.

    Raises:
        ValueError: a quote is not closed.
    """
    if _is_file(value):
        return [value]
    try:
        return shlex.split(value)
    except ValueError:
        raise ValueError(
            f"{variable} is {value!r}, with a quote that is not closed: put names with spaces in quotes, "
            f"as in {variable}=\"'my photos/a.png' b.png\""
        ) from None


def _is_file(value: str) -> bool:
    try:
        return Path(value).is_file()
    except ValueError:  # a null byte, which paths cannot contain
        return False


if __name__ == "__main__":
    main()
