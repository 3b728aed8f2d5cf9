"""Markdown for generated parts of pages: tables, and text between markers."""

from __future__ import annotations

from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(text: str) -> str:
    """Return the text as code, for a cell of a table. Empty text stays empty."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def replace_block(page: str, name: str, origin: str, content: str) -> str:
    """Return the page with new content between the markers of this name, or at its end if it has no such markers.

    Args:
        origin: how the content is made, for readers of the source, such as "measured".

    Raises:
        ValueError: the page has the first marker without the second.
    """
    begin, end = f"<!-- {name}: {origin}, do not edit -->", f"<!-- {name}: end -->"
    before, marker, tail = page.partition(begin)
    if marker and end not in tail:
        raise ValueError(f"{begin!r} has no {end!r} after it; add the second marker, or remove the first")
    after = tail.partition(end)[2] if marker else "\n"
    head = before if marker or not before else before.rstrip() + "\n\n"
    return f"{head}{begin}\n{content.strip()}\n{end}{after}"
