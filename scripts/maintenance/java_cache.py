"""Record how Java starts and runs TorchServe, so that every later start is faster; `make setup` does it by itself.

Again after Java, TorchServe or the `vmargs` of config.properties have changed: Java takes no cache that does not fit.
"""

from __future__ import annotations

import argparse
from functools import partial

from scripts.command import command, sigterm_interrupts
from serving.server import java_aot_cache


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and record."""
    argparse.ArgumentParser(prog="python -m scripts.maintenance.java_cache", description=__doc__).parse_args(argv)
    say = partial(print, flush=True)
    with sigterm_interrupts():
        made = java_aot_cache.make(say)
    if made is not None:
        say(f"{made}: {made.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
