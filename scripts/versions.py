"""Show and change the versions of a running server: models, register, promote, rollback, retire, history."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from scripts.command import command
from serving.errors import ServingError
from serving.rollout import journal
from serving.rollout.versions import Versions
from serving.runtime.instance import Instance, Ports

HELP = {
    "models": "a table of what is registered",
    "register": "load a version beside the others; it answers those who name it",
    "promote": "make a registered version the default, once its golden answers came out over HTTP",
    "rollback": "make the version before the default again",
    "retire": "take a version that is no default away, once it has nothing left to answer",
    "history": "the journal: what was done, when, by whom",
}


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and do it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.versions", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in HELP.items():
        flags = commands.add_parser(name, help=text, description=text)
        flags.add_argument("--port", type=int, default=8080, help="of the server's proxy (default: 8080)")
        flags.add_argument("--json", action="store_true", help="print JSON, for programs")
        if name not in ("models", "history"):
            flags.add_argument("--model", default="digits", help="name of the model (default: digits)")
        if name in ("register", "promote", "retire"):
            flags.add_argument("--version", required=True, help="which version, such as 2.0")
        if name == "register":
            flags.add_argument("--workers", type=int, help="worker processes (default: what the archive says)")
    arguments = parser.parse_args(argv)
    try:
        run(arguments)
    except (ServingError, ValueError, OSError) as error:
        if not arguments.json:
            raise
        print(json.dumps({"ok": False, "error": str(error)}))
        sys.exit(1)


def run(arguments: argparse.Namespace) -> None:
    """Do one command and print what came of it."""
    instance = Instance(Ports(arguments.port))
    if arguments.command == "history":
        entries = journal.read(instance.folder)
        print(json.dumps(entries, indent=2) if arguments.json else history(entries))
        return
    versions = Versions(instance, say=lambda message: print(message, file=sys.stderr))
    done: dict[str, str] = {}
    match arguments.command:
        case "models":
            rows = [asdict(row) for row in versions.table()]
            print(json.dumps(rows, indent=2) if arguments.json else table(rows))
            return
        case "register":
            versions.register(arguments.model, arguments.version, arguments.workers)
            done = {"version": arguments.version, "done": "registered; it answers those who name it"}
        case "promote":
            versions.promote(arguments.model, arguments.version)
            done = {"version": arguments.version, "done": "the default"}
        case "rollback":
            done = {"version": versions.rollback(arguments.model), "done": "the default again"}
        case "retire":
            versions.retire(arguments.model, arguments.version)
            done = {"version": arguments.version, "done": "retired"}
    if arguments.json:
        print(json.dumps({"ok": True, "model": arguments.model, **done}))
    else:
        print(f"{arguments.model} {done['version']}: {done['done']}")


def table(rows: list[dict[str, object]]) -> str:
    """Columns, each as wide as its widest value."""
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
    """One line an entry."""
    lines = []
    for entry in entries:
        what = f"{entry['command']} {entry['model']} {entry['version'] or ''}".strip()
        evidence = f"  {json.dumps(entry['evidence'], ensure_ascii=False)}" if "evidence" in entry else ""
        lines.append(f"{entry['time']}  {entry['actor']}  {entry['run']}  {what}: {entry['step']}{evidence}")
    return "\n".join(lines) or "nothing was done yet"


if __name__ == "__main__":
    main()
