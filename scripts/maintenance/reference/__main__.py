"""Write the parts of docs/reference/ that are made from the code.

For example:

    torchlight maintenance reference
"""

from __future__ import annotations

from scripts import cli
from scripts.maintenance.reference import pages


def main() -> None:
    """Write the pages."""
    for name in pages.PAGES:
        text = pages.render(name)
        (pages.FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    cli.run("maintenance", "reference")
