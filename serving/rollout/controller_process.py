"""The controller's process: `python -m serving.rollout.controller_process --port 8080`. The supervisor runs it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from serving.artifacts import store
from serving.errors import ServingError
from serving.rollout import report
from serving.rollout.controller import Controller
from serving.rollout.journal import Journal
from serving.rollout.local import surroundings_of
from serving.rollout.record import Record
from serving.runtime.instance import ROOT, Instance, Ports


def main(argv: list[str] | None = None) -> None:
    """Run the rollouts of a server until none is active."""
    parser = argparse.ArgumentParser(prog="python -m serving.rollout.controller_process", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the server's public port")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of all servers (default: .run)")
    parser.add_argument("--store", type=Path, default=store.ROOT, help="the model store (default: model_store)")
    arguments = parser.parse_args(argv)
    instance = Instance(Ports(arguments.port), arguments.root)

    def write_report(record: Record) -> None:
        entries = [entry for entry in Journal(instance.folder).entries() if entry.get("run") == record.id]
        report.write(record, entries)

    try:
        around = surroundings_of(instance, log=_log, root=arguments.store)
        Controller(instance.folder, around, write_report).run()
    except ServingError as error:
        sys.exit(f"rollout: {error}")


def _log(message: str) -> None:
    sys.stdout.write(f"rollout: {message}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
