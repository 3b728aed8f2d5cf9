"""Show and change the versions of a running server.

For example:

    torchlight versions register --model cells --version 2.0
    torchlight versions promote --model cells --version 2.0
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Annotated

from cyclopts import App, Parameter

from scripts import cli
from scripts.command import say
from serving.errors import ServingError
from serving.rollout.journal import Journal
from serving.rollout.local import versions_of
from serving.rollout.versions import Versions
from serving.runtime.instance import Instance, Ports
from torchlight_client import TorchlightError

app = App(name="versions", version_flags=(), default_parameter=cli.FLAGS)
AsJson = Annotated[bool, Parameter(name="--json")]


@app.command
def models(*, port: int = 8080, as_json: AsJson = False) -> None:
    """Print a table of the registered versions.

    For example:

        torchlight versions models --port 8081

    Args:
        port: port of the server's proxy
        as_json: print JSON instead of text
    """
    with _errors_as_json(as_json):
        rows = [asdict(status) for status in _versions(port).statuses()]
        print(json.dumps(rows, indent=2) if as_json else table(rows))


@app.command
def register(
    *, model: str = "digits", version: str, workers: int | None = None, port: int = 8080, as_json: AsJson = False
) -> None:
    """Load a version beside the others, for requests that name it. Scale its workers if it is registered.

    For example:

        torchlight versions register --model cells --version 2.0 --workers 2

    Args:
        model: name of the model
        version: version, such as 2.0
        workers: number of predict workers, 1 to 256 (default: minWorkers of the archive)
        port: port of the server's proxy
        as_json: print JSON instead of text
    """
    with _errors_as_json(as_json):
        _versions(port).register(model, version, workers)
        _print_result(model, version, "registered; it answers requests that name it", as_json)


@app.command
def promote(*, model: str = "digits", version: str, port: int = 8080, as_json: AsJson = False) -> None:
    """Make a registered version the default, after it has reproduced its golden answers over HTTP.

    For example:

        torchlight versions promote --model cells --version 2.0

    Args:
        model: name of the model
        version: version, such as 2.0
        port: port of the server's proxy
        as_json: print JSON instead of text
    """
    with _errors_as_json(as_json):
        _versions(port).promote(model, version)
        _print_result(model, version, "the default", as_json)


@app.command
def rollback(*, model: str = "digits", port: int = 8080, as_json: AsJson = False) -> None:
    """Make the previous default the default again.

    For example:

        torchlight versions rollback --model cells

    Args:
        model: name of the model
        port: port of the server's proxy
        as_json: print JSON instead of text
    """
    with _errors_as_json(as_json):
        version = _versions(port).rollback(model)
        _print_result(model, version, "the default again", as_json)


@app.command
def retire(*, model: str = "digits", version: str, port: int = 8080, as_json: AsJson = False) -> None:
    """Unregister a version that is not the default, after it has answered its requests.

    For example:

        torchlight versions retire --model cells --version 1.0

    Args:
        model: name of the model
        version: version, such as 2.0
        port: port of the server's proxy
        as_json: print JSON instead of text
    """
    with _errors_as_json(as_json):
        _versions(port).retire(model, version)
        _print_result(model, version, "retired", as_json)


@app.command
def history(*, port: int = 8080, as_json: AsJson = False) -> None:
    """Print the journal: time, user, run, command, step and evidence.

    For example:

        torchlight versions history --json

    Args:
        port: port of the server's proxy
        as_json: print JSON instead of text
    """
    with _errors_as_json(as_json):
        entries = Journal(Instance(Ports(port)).folder).entries()
        print(json.dumps(entries, indent=2) if as_json else journal_text(entries))


@contextmanager
def _errors_as_json(as_json: bool) -> Iterator[None]:
    """Print an error as JSON, with exit status 1, if `as_json` is true."""
    try:
        yield
    except (ServingError, TorchlightError, ValueError, OSError) as error:
        if not as_json:
            raise
        print(json.dumps({"ok": False, "error": str(error)}))
        sys.exit(1)


def _versions(port: int) -> Versions:
    return versions_of(Instance(Ports(port)), log=partial(say, file=sys.stderr))


def _print_result(model: str, version: str, result: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"ok": True, "model": model, "version": version, "done": result}))
    else:
        print(f"{model} {version}: {result}")


def table(rows: list[dict[str, object]]) -> str:
    """Return a text table: each column is as wide as its widest value."""
    head = ("model", "version", "default", "workers", "READY", "explaining", "unbatched", "queue", "in flight", "since")
    cells = [head] + [
        tuple("yes" if value is True else "" if value is False else str(value) for value in row.values())
        for row in rows
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def journal_text(entries: list[dict[str, object]]) -> str:
    """Return the journal as text, one line for each entry."""
    lines = []
    for entry in entries:
        what = f"{entry['command']} {entry['model']} {entry['version'] or ''}".strip()
        evidence = f"  {json.dumps(entry['evidence'], ensure_ascii=False)}" if "evidence" in entry else ""
        lines.append(f"{entry['time']}  {entry['actor']}  {entry['run']}  {what}: {entry['step']}{evidence}")
    return "\n".join(lines) or "the journal is empty"


if __name__ == "__main__":
    cli.run("versions")
