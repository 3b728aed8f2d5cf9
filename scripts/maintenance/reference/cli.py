"""Block of docs/reference/cli.md: the help of every command, as cyclopts writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cyclopts.docs import generate_markdown_docs

from scripts.cli import app

REPOSITORY = Path(__file__).resolve().parents[3]
# Its help shows the command line of the process that writes the page.
EXCLUDED = ["--install-completion"]


def blocks() -> Mapping[str, str]:
    """Return the block by its name."""
    # Inside a running command, cyclopts would take that command's settings for those of the whole app.
    with app.app_stack([app]):
        text = generate_markdown_docs(app, generate_toc=False, no_root_title=True, exclude_commands=EXCLUDED)
    # The groups of commands begin below the usage and the description of the app, which the page has already.
    groups = text[text.index("\n**") :]
    # The usage of a command repeats its heading, and cyclopts puts the name of the running process into it.
    groups = re.sub(r"^```console\n.*?^```\n\n", "", groups, flags=re.MULTILINE | re.DOTALL)
    return {"commands": groups.replace(f"{REPOSITORY}/", "")}  # defaults of flags show paths of this checkout
