"""Run a command with the words of an environment variable as its last arguments, as `make` does for MORE= and IMAGE=.

For example:

    IMAGE="'my photos/a.png' b.png" python -m scripts.maintenance.shell_words IMAGE predict --port 8081 --

Spaces separate the words. Quotes and backslashes keep spaces within a word, as in a shell. All other characters, such
as `$`, `;` and `*`, have no special meaning. A value that names an existing file is one word.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from scripts import cli
from scripts.command import command


@command
def main(argv: list[str] | None = None) -> None:
    """Split the variable that the first argument names, and run the command that the other arguments begin."""
    variable, *words = sys.argv[1:] if argv is None else argv
    cli.main([*words, *split(variable, os.environ.get(variable, ""))])


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
