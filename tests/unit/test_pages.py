"""The pages of the documentation: links lead somewhere, and each command, flag and file that a page names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import App

from scripts import cli
from tests.support import pages
from tests.support.pages import INDEX, README, REPOSITORY, Block

MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
TARGETS = {name for names in re.findall(r"^([a-z][a-z -]*):", MAKEFILE, re.MULTILINE) for name in names.split()}
VARIABLES = set(re.findall(r"^VARIABLES := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)[0].replace("\\\n", " ").split())
# Folders whose files are all in the repository. `releases/`, `model_store/` and `.run/` are made by commands.
TRACKED = (
    "benchmarks",
    "clients",
    "deploy",
    "docs",
    "handlers",
    "models",
    "samples",
    "scripts",
    "serving",
    "tests",
    "training",
)
ALL_PAGES = pytest.mark.parametrize("page", pages.pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
SHELL = ("sh", "bash")
README_LINES = 110
RUN_PAGES = pytest.mark.parametrize(
    "page", sorted({README, pages.QUICKSTART, *pages.GUIDES.glob("*.md")}), ids=lambda page: page.name
)
# What users want to do, and the page that the README must link for it.
TASKS = {
    "serve the example": "docs/quickstart.md",
    "train on your own images": "docs/guides/own-images.md",
    "add an architecture": "docs/guides/add-an-architecture.md",
    "serve on a GPU": "docs/guides/gpu.md",
    "set batch size, queue and limits": "docs/guides/tuning.md",
    "call it from another project": "docs/guides/python-client.md",
    "read the log": "docs/guides/logs-and-troubleshooting.md",
    "run only the fast tests": "CONTRIBUTING.md",
    "roll out a version, or roll it back": "docs/guides/new-version.md",
    "explain an answer": "docs/guides/explanations.md",
    "run it in a container": "docs/guides/container.md",
    "tune it for this machine": "docs/guides/tuning.md",
}


def code_of(page: Path) -> list[str]:
    """Return everything that a page sets in code: inline code, and the command lines of its shell blocks."""
    lines = [line for block in pages.blocks(page) if block.language in SHELL for line in pages.shell_lines(block)]
    return [*pages.inline_code(page), *lines]


@ALL_PAGES
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in pages.links(page):
        assert link.file.exists(), f"{page}: {link.target}"
        if link.anchor:
            assert link.anchor in pages.anchors(link.file), f"{page}: {link.target}"


@ALL_PAGES
def test_links_say_where_they_lead(page: Path) -> None:
    assert [link.target for link in pages.links(page) if link.text.lower() in ("here", "this", "link")] == []


def test_every_page_is_reachable_from_the_index() -> None:
    reached, waiting = set(), [INDEX]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [link.file for link in pages.links(page) if link.file.suffix == ".md" and link.file.exists()]
    assert set(pages.DOCS.rglob("*.md")) - reached == set()


def test_index_has_a_line_for_every_page() -> None:
    listed = [link.file for link in pages.links(INDEX)]
    assert set(pages.DOCS.rglob("*.md")) - {INDEX} - set(listed) == set()


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= README_LINES


def arguments_of(program: str, code: str) -> list[list[str]]:
    """Return the arguments of each call of a program in a command line."""
    lexer = shlex.shlex(code, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    calls: list[list[str]] = []
    try:
        inside = False
        for word in lexer:
            if Path(word).name == program:
                calls.append([])
                inside = True
            elif word[:1] in tuple("&|;()<>"):
                inside = False
            elif inside:
                calls[-1].append(word)
    except ValueError:  # prose with an apostrophe
        return []
    return calls


@pytest.mark.parametrize("task", TASKS)
def test_readme_links_the_page_for_each_task(task: str) -> None:
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("|") and task in line]
    assert any(f"]({TASKS[task]})" in row for row in rows)


def test_readme_figures_are_those_of_the_performance_page() -> None:
    claim = re.search(
        r"^- \*\*It is fast\.\*\* (.*?)\n(?=-|\n)", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert claim is not None
    table = (pages.DOCS / "benchmarks" / "performance.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d+\.\d+(?: ms)?", claim[1])
    assert figures
    for figure in figures:
        assert re.search(rf"\| {re.escape(figure)}[ ×]", table), figure


@ALL_PAGES
def test_make_targets_and_variables_exist(page: Path) -> None:
    for code in code_of(page):
        for word in (word for call in arguments_of("make", code) for word in call):
            name, is_assignment, _ = word.partition("=")
            assert name in (VARIABLES if is_assignment else TARGETS), f"{page}: {code}"


@ALL_PAGES
def test_files_exist(page: Path) -> None:
    for code in code_of(page):
        for name in re.findall(rf"(?<![\w./<-])(?:{'|'.join(TRACKED)})/[\w./*-]*", code):
            assert list(REPOSITORY.glob(name.rstrip("./"))), f"{page}: {name}"


@pytest.mark.parametrize(
    "block", [block for page in pages.pages() for block in pages.blocks(page)], ids=lambda b: b.name
)
def test_every_block_has_a_language(block: Block) -> None:
    assert block.language


@RUN_PAGES
def test_each_block_that_is_not_run_has_a_reason(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    reasons = [block.not_run for block in pages.blocks(page) if block.not_run is not None]
    assert text.count("<!-- not run") == len(reasons), "a marker stands before no block"
    assert all(len(reason.split()) >= 3 for reason in reasons), reasons
    for name in re.findall(r"\btests/[\w/.]+", " ".join(reasons)):
        assert (REPOSITORY / name.rstrip("./")).exists(), name


@RUN_PAGES
def test_commands_are_in_shell_blocks(page: Path) -> None:
    """So that a test runs them: a block that is only indented has no language and no marker."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^    (?:make|curl|docker|pip|\.venv/bin/\w+) .*$", text, re.MULTILINE) == []
    others = [block for block in pages.blocks(page) if block.language not in SHELL]
    assert [block.name for block in others if re.search(r"^(make|curl) ", block.code, re.MULTILINE)] == []


def flags_of(command: App) -> set[str]:
    """Return the flags of a command; none for a group of commands."""
    if command.default_command is None:
        return set()
    return {name for argument in command.assemble_argument_collection() for name in argument.names} | {"--help"}


def all_flags(group: App) -> set[str]:
    """Return the flags of all commands in a group."""
    commands = [group[name] for name in group if not name.startswith("-")]
    return flags_of(group).union(*(all_flags(command) for command in commands))


@pytest.fixture(scope="module")
def known_flags() -> set[str]:
    return all_flags(cli.app)


def check_call(arguments: list[str]) -> None:
    """Check that a command of `torchlight` exists, with the flags that are written behind it."""
    _, apps, rest = cli.app.parse_commands(arguments)
    command = apps[-1]
    if command.default_command is None:
        assert rest[:1] in ([], ["COMMAND"], ["--help"], ["--install-completion"]), arguments
    else:
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= flags_of(command), arguments


@ALL_PAGES
def test_torchlight_commands_and_flags_exist(page: Path) -> None:
    for code in code_of(page):
        for call in arguments_of("torchlight", code):
            check_call([word for word in call if word != "…"])
        for call in arguments_of("make", code):
            more = next((word for word in call if word.startswith("MORE=")), "MORE=")
            check_call([call[0], *more.removeprefix("MORE=").split()] if more != "MORE=" else [])


@RUN_PAGES
def test_flags_in_text_belong_to_a_command(page: Path, known_flags: set[str]) -> None:
    named = {code.partition(" ")[0] for code in pages.inline_code(page) if code.startswith("--")}
    assert named - known_flags == set()
