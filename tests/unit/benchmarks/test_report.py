from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report


def test_text_is_replaced_between_its_markers_and_the_page_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nWords.\n")
    report.put(page, "figures", "one")
    report.put(page, "others", "two")
    page.write_text(page.read_text() + "\nThe end.\n")
    report.put(page, "figures", "three")
    report.put(page, "figures", "four\n")
    assert page.read_text() == (
        "# Page\n\nWords.\n\n<!-- figures: measured, do not edit -->\nfour\n<!-- figures: end -->\n\n"
        "<!-- others: measured, do not edit -->\ntwo\n<!-- others: end -->\n\nThe end.\n"
    )


def test_marker_without_its_end_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- figures: measured, do not edit -->\nold\n")
    with pytest.raises(ValueError, match="has no"):
        report.put(page, "figures", "new")
    assert "old" in page.read_text()


def test_table_is_markdown() -> None:
    assert report.table(["a", "b"], [["1", ""]]) == "| a | b |\n| --- | --- |\n| 1 |  |"


def test_report_names_machine_and_packages() -> None:
    assert "cores" in report.where()
    assert "torch" in report.where()
