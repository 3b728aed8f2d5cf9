"""Results of the figures: default method, conclusions, card and report page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.card import Card
from tests.unit.training.colors import card
from training.explanations import ExplanationFigures, MethodFigures
from training.explanations.bootstrap import Mean
from training.explanations.conclusions import conclusions
from training.explanations.default_method import choose, write_to_card
from training.report import explanations as page
from training.report.gallery import GalleryRow

HOSTILE = "<script>alert(1)</script>"


def mean(value: float, reach: float = 0.01) -> Mean:
    return Mean(value, value - reach, value + reach)


def method(
    name: str, gap: float, passes: int = 10, randomization: float = 0.05, center: float = 0.2, noise: float = 0.0
) -> MethodFigures:
    """Figures with gaps of four images; `noise` is added to every second one and subtracted from the others."""
    return MethodFigures(
        name=name,
        title=name.upper(),
        deletion=0.1,
        insertion=0.1 + gap,
        gap=mean(gap),
        gaps=(gap + noise, gap - noise, gap + noise, gap - noise),
        versus_random=mean(center + 0.1),
        versus_center=mean(center),
        remove_and_debias=0.3,
        completeness=1.0,
        randomization_test=randomization,
        spearman=randomization,
        unsigned=0.61,
        stability=0.1,
        pointing_game=0.9,
        relevance_mass=mean(0.7),
        passes=passes,
        milliseconds=4.2,
    )


def figures_of(*methods: MethodFigures, **changes: object) -> ExplanationFigures:
    figures = ExplanationFigures(32, 16, methods, {}, mean(0.1), mean(0.2), 0.4, 0.07, 0.25)
    return replace(figures, **changes)  # type: ignore[arg-type]


def test_default_is_the_cheapest_complete_method_that_is_not_significantly_below_the_best() -> None:
    best = method("best", 0.5, 50)
    # The gap of `near` is larger than the best for half of the images, and that of `below` is smaller for all of them.
    near, below = method("near", 0.485, 3, noise=0.2), method("below", 0.485, 1)
    assert choose(figures_of(best, below)).method is best
    choice = choose(figures_of(best, near, below))
    assert (choice.method, choice.best, choice.similar) == (near, best, (best, near))
    assert choice.reason == (
        "it is complete for 100% of the images; its gap, 0.485, is not significantly below the best of the methods "
        "that pass the checks "
        f"(best, 0.500; difference 0.015, 95 % interval {choice.behind.low:.3f} to {choice.behind.high:.3f}), and it "
        "needs the fewest passes of 2 such methods"
    )


def test_default_is_complete_if_a_complete_method_is_not_significantly_worse() -> None:
    best = replace(method("best", 0.5, 1), completeness=None)
    often = replace(method("often", 0.5, 2), completeness=0.9)
    complete = method("complete", 0.4, 100, noise=0.5)
    assert choose(figures_of(best, often, complete)).method is complete
    worse = method("worse", 0.4, 100)
    choice = choose(figures_of(best, often, worse))
    assert choice.method is best
    assert choice.reason.startswith("no complete method is as faithful; its gap, 0.500, is the best of")


@pytest.mark.parametrize("flaw", [{"randomization": 0.2}, {"center": 0.005}])
def test_method_that_fails_a_check_is_not_the_default(flaw: dict[str, float]) -> None:
    assert choose(figures_of(method("flawed", 0.9, **flaw), method("sound", 0.3))).method.name == "sound"  # type: ignore[arg-type]


def test_default_is_the_best_method_if_no_method_passes_the_checks() -> None:
    figures = figures_of(method("first", 0.3, randomization=0.5), method("second", 0.4, randomization=0.5))
    assert choose(figures).method.name == "second"
    assert conclusions(figures)[1].startswith("no method passes the checks on this model")


def test_conclusions_name_the_methods_that_fail_each_check() -> None:
    flawed = replace(method("flawed", 0.4, randomization=0.5, center=-0.1), completeness=0.5)
    unsupported = {"deeplift": "has no rule for GELU"}
    text = "\n".join(conclusions(figures_of(method("good", 0.5), flawed, unsupported=unsupported)))
    assert "70% of the evidence lies on the object" in text
    assert (
        "the default is good: it is complete for 100% of the images; its gap, 0.500, is the best of the methods" in text
    )
    assert "maps of good have a rank correlation of 0.05 with those of networks with random weights" in text
    assert "and of 0.61 without their signs: how strong a map is at a place depends mostly on the image" in text
    assert "networks with random weights (randomization test 0.2 or more): flawed (0.50)" in text
    assert "a map of the center, which does not depend on the model: flawed" in text
    assert "not shown to be better than a random map: flawed" in text
    assert "responses have a warning for the others: flawed (50%)" in text
    assert "deeplift does not fit this network: it has no rule for GELU" in text


def test_conclusions_start_with_evidence_outside_the_object() -> None:
    sentences = conclusions(figures_of(replace(method("ig", 0.5), relevance_mass=mean(0.1))))
    assert sentences[0].startswith("the model looks elsewhere: 90% of the evidence lies outside the object")


def test_card_has_the_default_and_all_gaps(tmp_path: Path) -> None:
    card().save(tmp_path)
    changed = write_to_card(tmp_path, figures_of(method("ig", 0.41239), method("ixg", 0.3)), "features.3")
    assert Card.load(tmp_path) == changed
    explanations = changed.explanations
    assert (explanations.method, explanations.layer, explanations.faithfulness) == (
        "ig",
        "features.3",
        {"ig": 0.4124, "ixg": 0.3},
    )
    assert [path.name for path in tmp_path.iterdir()] == ["card.yaml"]


def test_page_has_all_figures_and_is_linked_from_the_report(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(f"<p>before</p>\n{page.MARK}\n")
    figures = figures_of(method("ig", 0.5), method("ixg", 0.3), unsupported={"gradcam": "has no convolution"})
    row = GalleryRow("a.png", b"\x89PNG", {"ig": b"one", "ixg": b"other"}, "frog", HOSTILE, 0.8)
    page.write(tmp_path, card(), "the test split of beads", figures, [row])
    text = (tmp_path / "explanations.html").read_text(encoding="utf-8")
    for expected in (
        "32 images of the test split of beads",
        "0.490 to 0.510",
        "arXiv 2304.13836",
        "labeled frog",
        "the mean color instead for 40 % of these images",
        "the class has a probability of 0.07 on average",
        "0.610",
        "80 %",
    ):
        assert expected in text
    assert all(sentence.replace("'", "&#39;") in text for sentence in conclusions(figures))
    assert HOSTILE not in text
    assert "http" not in text  # it needs no other file
    written = json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))
    assert (written["default"], written["methods"][1]["gap"]["value"]) == ("ig", 0.3)
    assert written["conclusions"] == conclusions(figures)
    assert 'href="explanations.html"' in (tmp_path / "report.html").read_text()


def test_page_without_masks_does_not_mention_objects(tmp_path: Path) -> None:
    without_masks = replace(method("ig", 0.5), relevance_mass=None, pointing_game=None)
    figures = figures_of(without_masks, object_share=None)
    page.write(tmp_path, card(), "x", figures, [])
    assert "object" not in (tmp_path / "explanations.html").read_text(encoding="utf-8").split("</style>")[1]
    assert not any("object" in sentence for sentence in conclusions(figures))


def test_report_template_has_the_placeholder_of_the_link() -> None:
    assert page.MARK in (Path(page.__file__).parent / "page.html.jinja").read_text(encoding="utf-8")
