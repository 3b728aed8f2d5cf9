"""Make the Java AOT cache, so that every later start of TorchServe is faster. `make setup` runs this too.

Run it again after a change of Java, TorchServe or the `vmargs` of config.properties: Java ignores a cache of another
configuration.

For example:

    torchlight maintenance java-cache
"""

from __future__ import annotations

from functools import partial

from scripts import cli
from scripts.command import sigterm_interrupts
from serving.server import java_aot_cache


def main() -> None:
    """Make the cache and print its size."""
    log = partial(print, flush=True)
    with sigterm_interrupts():
        cache = java_aot_cache.make(log)
    if cache is not None:
        log(f"{cache}: {cache.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    cli.run("maintenance", "java-cache")
