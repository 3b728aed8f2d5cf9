"""Make the Java AOT cache, so that every later start of TorchServe is faster. `make setup` runs this too.

Run it again after a change of Java, TorchServe or the `vmargs` of config.properties: Java ignores a cache of another
configuration.
"""

from __future__ import annotations

import argparse
from functools import partial

from scripts.command import command, sigterm_interrupts
from serving.server import java_aot_cache


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and make the cache."""
    argparse.ArgumentParser(prog="python -m scripts.maintenance.java_cache", description=__doc__).parse_args(argv)
    log = partial(print, flush=True)
    with sigterm_interrupts():
        cache = java_aot_cache.make(log)
    if cache is not None:
        log(f"{cache}: {cache.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
