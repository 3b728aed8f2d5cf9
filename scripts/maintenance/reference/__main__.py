"""Write the parts of docs/reference/ that are made from the code."""

from __future__ import annotations

import argparse

from scripts.command import command
from scripts.maintenance.reference import pages


@command
def main(argv: list[str] | None = None) -> None:
    """Write the pages."""
    argparse.ArgumentParser(prog="python -m scripts.maintenance.reference", description=__doc__).parse_args(argv)
    for name in pages.PAGES:
        text = pages.render(name)
        (pages.FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
