"""The commands of README, quickstart and guides run in the order of each page, and print what the page shows.

All pages share one copy of the repository and its server. The quickstart comes first: it starts from an empty store, as
a reader does. A page that starts a server itself finds none; every other page finds a running one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.integration.docs.checkout import FILE_COMMENT, Checkout
from tests.integration.docs.output import check_json, check_text
from tests.support import pages
from tests.support.pages import QUICKSTART, README, Block

SHELL = ("sh", "bash")
FIRST = (QUICKSTART, README)
# The examples of python-client.md run in an empty environment, in tests/integration/http/test_python_client.py.
PAGES = [*FIRST, *(page for page in sorted(pages.GUIDES.glob("*.md")) if page.stem != "python-client")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A new clone, without releases and archives."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    yield checkout
    checkout.run("make stop")


def steps(page: Path) -> list[tuple[Block, Block | None]]:
    """Return the blocks of a page that run, each with the next block of its section if that shows the output."""
    blocks = pages.blocks(page)
    return [
        (block, following if shows_output(block, following) else None)
        for block, following in zip_longest(blocks, blocks[1:])
        if block.not_run is None and (block.language in SHELL or FILE_COMMENT.match(block.code))
    ]


def shows_output(block: Block, following: Block | None) -> bool:
    """Return whether the block that follows shows the output of a block."""
    return following is not None and following.language in ("text", "json") and following.section == block.section


def starts_a_server(page: Path) -> bool:
    """Return whether a block of the page starts a server."""
    return any(re.search(r"\bmake [a-z ]*\bserve\b", block.code) for block, _ in steps(page))


@pytest.mark.parametrize("page", [page for page in PAGES if steps(page)], ids=lambda page: page.stem)
def test_commands_of_a_page_run_and_print_what_it_shows(checkout: Checkout, page: Path) -> None:
    if starts_a_server(page):
        checkout.clear()
    elif not checkout.runs():
        assert checkout.run("make serve").returncode == 0
    for block, shown in steps(page):
        if block.language not in SHELL:
            checkout.write(block)
            continue
        done = checkout.run(block.code)
        assert done.returncode == 0, f"{block.name}:\n{block.code}\n{done.stdout}"
        if shown is None:
            assert '"type":"' not in done.stdout, f"{block.name}: an error response\n{done.stdout}"
        elif shown.language == "json":
            check_json(shown.code, done.stdout)
        else:
            check_text(shown.code, done.stdout)
