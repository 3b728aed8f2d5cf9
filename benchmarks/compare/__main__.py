"""Measure the performance table: the bundle beside what others serve the same model with, on this machine.

Each part leaves its figures in benchmarks/results/<part>.json, from which docs/performance.md and the README's table
are made; --page does that alone. A part that was interrupted is run again with --only. Everything takes three quarters
of an hour of two cores that have nothing else to do, and more the first time, when the peers are installed and the
models trained.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from benchmarks.compare import page
from benchmarks.compare.load import wrk
from benchmarks.compare.parts import PARTS, measure
from benchmarks.compare.results import REPOSITORY, RESULTS
from benchmarks.compare.run_config import Setting
from scripts.command import command, sigterm_interrupts
from serving.errors import ServingError

logger = logging.getLogger("benchmarks")


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, measure, write."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logger.setLevel(logging.INFO)  # how far it is; of other packages no more than their warnings
    page_of, readme = arguments.out.resolve(), arguments.readme.resolve()
    failed: list[str] = []
    if not arguments.page:
        wrk.check()
        setting = _setting(arguments)
        with sigterm_interrupts():
            failed = [name for name in arguments.only or PARTS if not _measured(name, setting, arguments.results)]
    missing = page.write(page_of, readme, arguments.results)
    if missing:
        print(f"never measured: {', '.join(missing)}")
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed; run them again with --only {' --only '.join(failed)}")


def _measured(name: str, setting: Setting, results: Path) -> bool:
    """Whether a part could be measured; its figures are kept."""
    logger.info("%s", name)
    try:
        measured = measure(PARTS[name], setting)
    except (ValueError, OSError, RuntimeError, ServingError) as error:
        print(f"{name} failed, and the rest goes on: {error}", file=sys.stderr, flush=True)
        return False
    logger.info("%s: %.0f s, %s", name, measured.took, measured.save(results))
    return True


def _setting(arguments: argparse.Namespace) -> Setting:
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return Setting(
        folder=folder,
        photos=arguments.photos.resolve() if arguments.photos else None,
        pictures=arguments.out.resolve().parent / "pictures",
        seconds=arguments.seconds,
        rounds=arguments.rounds,
        port=arguments.port,
        peers=tuple(arguments.peer) if arguments.peer else None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    parser.add_argument("--page", action="store_true", help="measure nothing, make the pages from what was measured")
    parser.add_argument("--photos", type=Path, help="folder of JPEG photos, at least 50, for the parts that want some")
    parser.add_argument("--seconds", type=float, default=8.0, help="of one measured run (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="how often all take their turn (default: 3)")
    parser.add_argument("--peer", action="append", help="compare with this one alone; may be repeated (default: all)")
    parser.add_argument("--port", type=int, default=18_480, help="the first of some 150 for servers (default: 18480)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "torchlight-performance",
        help="where releases and the peers' environments are kept for the next run (default: in the temporary folder)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "performance.md", help="page to write into")
    parser.add_argument("--readme", type=Path, default=REPOSITORY / "README.md", help="page that gets the table")
    return parser


if __name__ == "__main__":
    main()
