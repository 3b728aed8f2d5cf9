"""report.html: it has all parts, obeys no name, loads nothing, and is written for damaged records too."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from serving.rollout import report
from serving.rollout.record import FIGURES, STATE, VERDICTS
from serving.rollout.report.words import SPACE
from tests.support import rollout_records
from tests.support.rollout_records import SUMMARY, Recorder

HOSTILE = "<script>alert('x')</script>"
# Elements without an end tag (HTML Living Standard, 13.1.2), and SVG elements that the templates close themselves.
VOID = {"meta", "br", "img", "rect", "line", "polyline"}


class Page(HTMLParser):
    """Tags, text and addresses of a page. An end tag without its start tag is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += f"{data} "

    @property
    def words(self) -> str:
        """Return the text with single spaces."""
        return " ".join(self.text.replace(SPACE, " ").split())


def written(recorder: Recorder) -> Page:
    path = report.write(recorder.record, recorder.entries)
    assert path == recorder.record.folder / "report.html"
    return Page(path)


def test_page_has_all_parts(tmp_path: Path) -> None:
    page = written(rollout_records.done(tmp_path))
    for heading in ("Checks", "Over time", "Step by step", "Answers to the same requests", "Labels", "Journal", "Plan"):
        assert f" {heading} " in page.text, heading
    assert "Version 2.0 of digits now answers all requests." in page.words
    assert "label by 1.0" in page.words
    assert "errors is right" in page.words.replace("canary_errors", "errors")
    assert page.tags.count("svg") == 3
    assert len(page.ids) == len(set(page.ids))


def test_rollback_is_the_first_thing_to_read(tmp_path: Path) -> None:
    page = written(rollout_records.rolled_back(tmp_path))
    assert page.words.startswith(
        "Rollout digits-2.0-20261130T100000 Rollout of digits 2.0 Rolled back Version 2.0 of digits was rolled back "
        "because it fails more requests than version 1.0. Version 1.0 answers all requests. Errors: candidate 12 of 60"
    )


def test_held_rollout_shows_the_maps(tmp_path: Path) -> None:
    page = written(rollout_records.held(tmp_path))
    assert page.tags.count("img") == 6
    assert "Maps that differ most 3 , correlation 0.00" in page.words


def test_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    recorder = rollout_records.held(tmp_path)
    page = written(recorder)
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert {"script", "link", "iframe", "object"} & set(page.tags) == set()
    content = (recorder.record.folder / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"url\(([^)]*)\)", content)) == {"#hatch"}
    assert "@import" not in content


def test_names_and_messages_are_shown_and_never_obeyed(tmp_path: Path) -> None:
    recorder = rollout_records.held(tmp_path)
    recorder.pictures(1, 1, label=HOSTILE)
    recorder.summary(SUMMARY.model_copy(update={"labels": {HOSTILE: {"<i>8": 3}}}))
    recorder.verdict(50, "golden", rollout_records.Outcome.FAIL, HOSTILE)
    recorder.write(50, "noted", reason=HOSTILE)
    recorder.pause(50, HOSTILE)
    page = written(recorder)
    assert {"script", "i"} & set(page.tags) == set()
    assert page.text.count(HOSTILE) >= 6


def test_running_rollout_has_a_page(tmp_path: Path) -> None:
    page = written(rollout_records.until_canary(tmp_path))
    assert "Running Version 2.0 of digits answers 5 % of the requests (step 2 of 4)." in page.words
    assert "This page shows" in page.words


def test_rollout_that_just_began_has_a_page(tmp_path: Path) -> None:
    page = written(Recorder(tmp_path))
    assert "The archive of version 2.0 of digits is being checked." in page.words
    assert "This report is not complete" not in page.words


@pytest.mark.parametrize(
    "name", [STATE, FIGURES, VERDICTS, "progress.json", "shadow/summary.json", "shadow/pictures.json"]
)
@pytest.mark.parametrize("content", [b"", b"{", b'{"time": []}\n', b"\xff\x00\n", b"[[[[" * 1000])
def test_damaged_part_costs_only_itself(name: str, content: bytes, tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    recorder.pictures(1, 1)
    (recorder.record.folder / name).write_bytes(content)
    page = written(recorder)
    assert "Journal" in page.text
    assert ("Step by step" in page.text) == (name != STATE)
    if name in (STATE, "shadow/summary.json") or (name == "shadow/pictures.json" and content[:1] != b"{"):
        assert "This report is not complete" in page.text


def test_page_is_replaced_in_one_step_and_private(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    written(recorder)
    path = report.write(recorder.record, [])
    assert [file.name for file in recorder.record.folder.iterdir() if file.name.startswith(".")] == []
    assert path.stat().st_mode & 0o777 == 0o600
