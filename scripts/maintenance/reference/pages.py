"""Pages of docs/reference/ with generated blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.maintenance.markdown import replace_block
from scripts.maintenance.reference import cli, configuration, errors, metrics, model_card

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "reference"
PAGES: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "cli.md": cli.blocks,
    "configuration.md": configuration.blocks,
    "errors.md": errors.blocks,
    "metrics.md": metrics.blocks,
    "model-card.md": model_card.blocks,
}


def render(name: str) -> str:
    """Return the text of a page with its blocks made from the code. The text around the blocks stays."""
    page = (FOLDER / name).read_text(encoding="utf-8")
    for block, content in PAGES[name]().items():
        page = replace_block(page, block, "made from the code by `make reference`", content)
    return page
