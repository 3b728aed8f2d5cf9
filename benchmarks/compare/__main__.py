"""Compare Torchlight with other servers of the same model, on this machine.

Each part writes its figures to benchmarks/results/<part>.json. docs/benchmarks/performance.md is made from these
files; --page only makes the page. Run an interrupted part again with --only. All parts take 45 minutes on two idle
cores. The first run takes longer: it installs the peers and trains the models.
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
from benchmarks.compare.run_config import RunConfig
from scripts.command import command, sigterm_interrupts
from serving.errors import ServingError

logger = logging.getLogger("benchmarks")


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, measure, write the page."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logger.setLevel(logging.INFO)  # shows progress; other packages log only warnings
    document = arguments.out.resolve()
    failed: list[str] = []
    if not arguments.page:
        wrk.check()
        config = _run_config(arguments)
        with sigterm_interrupts():
            failed = [name for name in arguments.only or PARTS if not _measure(name, config, arguments.results)]
    missing = page.write(document, arguments.results)
    if missing:
        print(f"no results yet for: {', '.join(missing)}")
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed; run again with --only {' --only '.join(failed)}")


def _measure(name: str, config: RunConfig, results: Path) -> bool:
    """Measure a part and save its figures. Return False if it failed."""
    logger.info("%s: started", name)
    try:
        result = measure(PARTS[name], config)
    except (ValueError, OSError, RuntimeError, ServingError) as error:
        print(f"{name} failed: {error}. Continuing with the next part.", file=sys.stderr, flush=True)
        return False
    logger.info("%s: finished in %.0f s, saved to %s", name, result.duration_seconds, result.save(results))
    return True


def _run_config(arguments: argparse.Namespace) -> RunConfig:
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return RunConfig(
        folder=folder,
        photos=arguments.photos.resolve() if arguments.photos else None,
        plots=arguments.out.resolve().parent / "pictures",
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
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this part; may be repeated")
    parser.add_argument("--page", action="store_true", help="measure nothing; make the page from the existing results")
    parser.add_argument("--photos", type=Path, help="folder of at least 50 JPEG photos, for the parts that need photos")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of one round in seconds (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="number of interleaved rounds (default: 3)")
    parser.add_argument("--peer", action="append", help="compare only with this peer; may be repeated (default: all)")
    parser.add_argument("--port", type=int, default=18_480, help="first of some 150 ports for servers (default: 18480)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "torchlight-performance",
        help="keeps releases and the peers' environments for the next run (default: in the temporary folder)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results files")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "docs" / "benchmarks" / "performance.md", help="page to write"
    )
    return parser


if __name__ == "__main__":
    main()
