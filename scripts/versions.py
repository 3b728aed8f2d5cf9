"""Show and change the versions of a running server: models, register, promote, rollback, retire, history."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from scripts.command import command
from serving.errors import ServingError
from serving.rollout.journal import Journal
from serving.rollout.local import versions_of
from serving.runtime.instance import Instance, Ports

HELP = {
    "models": "print a table of the registered versions",
    "register": "load a version beside the others, for requests that name it; scale its workers if it is registered",
    "promote": "make a registered version the default, after it has reproduced its golden answers over HTTP",
    "rollback": "make the previous default the default again",
    "retire": "unregister a version that is not the default, after it has answered its requests",
    "history": "print the journal: time, user, run, command, step and evidence",
}


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and run the command."""
    parser = argparse.ArgumentParser(prog="python -m scripts.versions", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in HELP.items():
        flags = commands.add_parser(name, help=text, description=text)
        flags.add_argument("--port", type=int, default=8080, help="port of the server's proxy (default: 8080)")
        flags.add_argument("--json", action="store_true", help="print JSON instead of text")
        if name not in ("models", "history"):
            flags.add_argument("--model", default="digits", help="name of the model (default: digits)")
        if name in ("register", "promote", "retire"):
            flags.add_argument("--version", required=True, help="version, such as 2.0")
        if name == "register":
            flags.add_argument(
                "--workers", type=int, help="number of predict workers, 1 to 256 (default: minWorkers of the archive)"
            )
    arguments = parser.parse_args(argv)
    try:
        run(arguments)
    except (ServingError, ValueError, OSError) as error:
        if not arguments.json:
            raise
        print(json.dumps({"ok": False, "error": str(error)}))
        sys.exit(1)


def run(arguments: argparse.Namespace) -> None:
    """Run one command and print its result."""
    instance = Instance(Ports(arguments.port))
    if arguments.command == "history":
        entries = Journal(instance.folder).entries()
        print(json.dumps(entries, indent=2) if arguments.json else history(entries))
        return
    versions = versions_of(instance, log=lambda message: print(message, file=sys.stderr))
    result: dict[str, str] = {}
    match arguments.command:
        case "models":
            rows = [asdict(status) for status in versions.statuses()]
            print(json.dumps(rows, indent=2) if arguments.json else table(rows))
            return
        case "register":
            versions.register(arguments.model, arguments.version, arguments.workers)
            result = {"version": arguments.version, "done": "registered; it answers requests that name it"}
        case "promote":
            versions.promote(arguments.model, arguments.version)
            result = {"version": arguments.version, "done": "the default"}
        case "rollback":
            result = {"version": versions.rollback(arguments.model), "done": "the default again"}
        case "retire":
            versions.retire(arguments.model, arguments.version)
            result = {"version": arguments.version, "done": "retired"}
    if arguments.json:
        print(json.dumps({"ok": True, "model": arguments.model, **result}))
    else:
        print(f"{arguments.model} {result['version']}: {result['done']}")


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


def history(entries: list[dict[str, object]]) -> str:
    """Return the journal as text, one line for each entry."""
    lines = []
    for entry in entries:
        what = f"{entry['command']} {entry['model']} {entry['version'] or ''}".strip()
        evidence = f"  {json.dumps(entry['evidence'], ensure_ascii=False)}" if "evidence" in entry else ""
        lines.append(f"{entry['time']}  {entry['actor']}  {entry['run']}  {what}: {entry['step']}{evidence}")
    return "\n".join(lines) or "the journal is empty"


if __name__ == "__main__":
    main()
