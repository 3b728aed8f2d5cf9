"""report.html as Chromium shows it: nothing is cut off or covered, and every text has enough contrast."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.rollout import report
from tests.support import rollout_records
from tests.support.browser import visit, web_site
from tests.support.rollout_records import SUMMARY, Recorder

# Contrast of text by WCAG 2.2, 1.4.3 (level AA).
CONTRAST = 4.5
# Texts are compared with the nearest background that is not transparent. In a chart that is the page.
SCRIPT = """
<script>
function luminance(color) {
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(Number).map(
    (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ground(element) {
  for (let node = element; node; node = node.parentElement) {
    const color = getComputedStyle(node).backgroundColor;
    if (!color.endsWith(", 0)") && color.startsWith("rgb")) return color;
  }
  return "rgb(255, 255, 255)";
}
function texts() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const result = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() && !element.closest("script, title, defs")) result.push(walker.currentNode);
  }
  return result;
}
function pale() {
  return texts().filter((text) => {
    const element = text.parentElement, style = getComputedStyle(element);
    const ink = element.closest("svg") ? style.fill : style.color;
    const values = [luminance(ink), luminance(ground(element))].sort((a, b) => b - a);
    return (values[0] + 0.05) / (values[1] + 0.05) < CONTRAST;
  }).map((text) => text.data.trim());
}
function outside() {
  return [...document.querySelectorAll("svg text")].filter((text) => {
    const box = text.getBoundingClientRect(), frame = text.closest("svg").getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
  }).map((text) => text.textContent);
}
function covered() {
  const result = [];
  for (const svg of document.querySelectorAll("svg")) {
    const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([text, box], index) => {
      for (const [other, next] of boxes.slice(index + 1)) {
        const across = Math.min(box.right, next.right) - Math.max(box.left, next.left);
        const down = Math.min(box.bottom, next.bottom) - Math.max(box.top, next.top);
        if (across > 1 && down > 3) result.push(text + " / " + other);
      }
    });
  }
  return result;
}
addEventListener("load", () => fetch("/result", {method: "POST", body: JSON.stringify({
  pale: pale(), outside: outside(), covered: covered(),
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  broken: [...document.images].filter((image) => !image.naturalWidth).length,
  requests: performance.getEntriesByType("resource").map((entry) => entry.name)
    .filter((name) => !name.startsWith("data:")),
})}));
</script>
"""
LONG = "a very long name of a class that does not fit into a narrow column"


def with_long_names(folder: Path) -> Recorder:
    """Return a held rollout whose names are as long as names may be."""
    recorder = rollout_records.held(folder, model="m" + "odel" * 8)
    recorder.pictures(3, 2, label=LONG)
    recorder.summary(SUMMARY.model_copy(update={"labels": {LONG: {LONG: 5, "8": 1}, "8": {"8": 4}}}))
    return recorder


EXAMPLES = (
    Recorder,
    rollout_records.until_canary,
    rollout_records.held,
    rollout_records.rolled_back,
    rollout_records.done,
    with_long_names,
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_report_is_readable(example: Callable[[Path], Recorder], scheme: str, tmp_path: Path) -> None:
    recorder = example(tmp_path)
    page = report.write(recorder.record, recorder.entries).read_text(encoding="utf-8")
    with web_site(posts=1) as site:
        if scheme == "dark":
            page = page.replace("(prefers-color-scheme: dark)", "all")
        site.page = page.replace("</body>", SCRIPT.replace("CONTRAST", str(CONTRAST)) + "</body>")
        measured = json.loads(visit(site)[0].body)
    assert measured == {"pale": [], "outside": [], "covered": [], "overflow": 0, "broken": 0, "requests": []}
