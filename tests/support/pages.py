"""Pages of the documentation: their headings, links, inline code and code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
INDEX = DOCS / "README.md"
QUICKSTART = DOCS / "quickstart.md"
GUIDES = DOCS / "guides"

FENCE = "```"
NOT_RUN = re.compile(r"^<!-- not run: (?P<reason>.*) -->$")
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\((?P<target>[^)\s]+)\)")
INLINE_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block.

    Attributes:
        line: number of its opening fence.
        language: word behind the fence, such as sh, python, text or json.
        section: number of headings before it on the page.
        not_run: reason in the comment `<!-- not run: reason -->` before the block; None if the block runs in a test.
    """

    page: Path
    line: int
    language: str
    code: str
    section: int
    not_run: str | None

    @property
    def name(self) -> str:
        """Return page and line, for messages."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another page, a file or a heading of this repository."""

    text: str
    target: str
    page: Path

    @property
    def file(self) -> Path:
        """Return the file that the link leads to; the page itself for `#heading`."""
        path = self.target.partition("#")[0]
        return (self.page.parent / path).resolve() if path else self.page

    @property
    def anchor(self) -> str:
        """Return the heading behind `#`, or an empty text."""
        return self.target.partition("#")[2]


def pages() -> list[Path]:
    """Return all pages for readers."""
    return [README, REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the fenced code blocks of a page, in order."""
    page_blocks, start, before, section = [], None, "", 0
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.startswith(FENCE):
            if start is None and line.strip():
                before = line
                section += line.startswith("#")
        elif start is None:
            start = number
        else:
            marker = NOT_RUN.match(before)
            page_blocks.append(
                Block(
                    page,
                    start,
                    language=lines[start - 1].removeprefix(FENCE).strip(),
                    code="\n".join(lines[start : number - 1]) + "\n",
                    section=section,
                    not_run=marker["reason"] if marker else None,
                )
            )
            start, before = None, ""
    return page_blocks


def prose(page: Path) -> str:
    """Return the text of a page without its fenced and indented code blocks."""
    lines, fenced = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith(FENCE):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            lines.append(line)
    return "\n".join(lines)


def inline_code(page: Path) -> list[str]:
    """Return the pieces of inline code of a page."""
    return INLINE_CODE.findall(prose(page))


def links(page: Path) -> list[Link]:
    """Return the links of a page, and its pictures, that lead to a file of this repository."""
    text = INLINE_CODE.sub("code", prose(page))
    all_links = [Link(match["text"], match["target"], page) for match in LINK.finditer(text)]
    all_links += [Link("", match["target"], page) for match in PICTURE.finditer(text)]
    return [link for link in all_links if not re.match(r"[a-z]+:", link.target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    seen: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE):
        text = LINK.sub(lambda match: match["text"], heading)
        name = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        count = seen.get(name, 0)
        seen[name] = count + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def shell_lines(block: Block) -> Iterator[str]:
    """Yield the command lines of a block, with continued lines joined and comments removed."""
    for line in block.code.replace("\\\n", " ").splitlines():
        command = re.sub(r"(^|\s)#.*$", "", line).strip()
        if command:
            yield command
