"""What is made of the figures: the choice, the sentences, the card, the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.card import Card
from tests.unit.training.colors import card
from training.explanations import Measured, MethodFigures
from training.explanations.bootstrap import Mean
from training.explanations.conclusions import findings
from training.explanations.default_method import adopt, choose
from training.report import explanations as page
from training.report.gallery import Row

HOSTILE = "<script>alert(1)</script>"


def mean(value: float, reach: float = 0.01) -> Mean:
    return Mean(value, value - reach, value + reach)


def method(name: str, gap: float, passes: int = 10, likeness: float = 0.05, center: float = 0.2) -> MethodFigures:
    return MethodFigures(
        name=name,
        title=name.upper(),
        deletion=0.1,
        insertion=0.1 + gap,
        gap=mean(gap),
        versus_random=mean(center + 0.1),
        versus_center=mean(center),
        road=0.3,
        completeness=1.0,
        likeness=likeness,
        spearman=likeness,
        change=0.1,
        pointing=0.9,
        mass=mean(0.7),
        passes=passes,
        milliseconds=4.2,
    )


def measured(*methods: MethodFigures, **more: object) -> Measured:
    plain = Measured(32, 16, methods, {}, mean(0.1), mean(0.2), 0.25)
    return replace(plain, **more)  # type: ignore[arg-type]


def test_of_methods_within_noise_the_cheapest_is_chosen() -> None:
    best, near, far = method("best", 0.5, 50), method("near", 0.485, 3), method("far", 0.47, 1)
    assert choose(measured(best, near, far)) is near


@pytest.mark.parametrize("flaw", [{"likeness": 0.2}, {"center": 0.005}])
def test_a_method_that_fails_a_check_is_not_chosen_however_faithful(flaw: dict[str, float]) -> None:
    assert choose(measured(method("flawed", 0.9, **flaw), method("sound", 0.3))).name == "sound"  # type: ignore[arg-type]


def test_where_no_method_is_sound_the_best_is_chosen_and_it_is_said() -> None:
    found = measured(method("one", 0.3, likeness=0.5), method("other", 0.4, likeness=0.5))
    assert choose(found).name == "other"
    assert findings(found)[1].startswith("no method is sound on this model")


def test_findings_name_who_fails_at_what() -> None:
    flawed = replace(method("flawed", 0.4, likeness=0.5, center=-0.1), completeness=0.5)
    said = "\n".join(findings(measured(method("good", 0.5), flawed, refused={"deeplift": "has no rule for GELU"})))
    assert "70% of the evidence lies on the object" in said
    assert "the default is good: its gap, 0.500, is the best of the sound methods" in said
    assert "the network forgot all it had learnt (likeness of 0.2 or more): flawed (0.50)" in said
    assert "a map of the center, which never looked at the model: flawed" in said
    assert "not shown to be better than a random map: flawed" in said
    assert "flagged when they are answered: flawed (50%)" in said
    assert "deeplift is refused: has no rule for GELU" in said


def test_a_model_that_looks_elsewhere_is_told_first() -> None:
    found = findings(measured(replace(method("ig", 0.5), mass=mean(0.1))))
    assert found[0].startswith("the model looks elsewhere: 90% of the evidence lies outside the object")


def test_the_choice_stands_in_the_card_with_all_gaps(tmp_path: Path) -> None:
    card().save(tmp_path)
    changed = adopt(tmp_path, measured(method("ig", 0.41239), method("ixg", 0.3)), "features.3")
    assert Card.load(tmp_path) == changed
    about = changed.explanations
    assert (about.method, about.layer, about.faithfulness) == ("ig", "features.3", {"ig": 0.4124, "ixg": 0.3})
    assert [path.name for path in tmp_path.iterdir()] == ["card.yaml"]


def test_the_page_says_all_of_it_and_is_linked(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(f"<p>before</p>\n{page.MARK}\n")
    found = measured(method("ig", 0.5), method("ixg", 0.3), refused={"gradcam": "has no convolution"})
    row = Row("a.png", b"\x89PNG", {"ig": b"one", "ixg": b"other"}, "frog", HOSTILE, 0.8)
    page.write(tmp_path, card(), "the test split of beads", found, [row])
    text = (tmp_path / "explanations.html").read_text(encoding="utf-8")
    for said in ("32 images of the test split of beads", "0.490 to 0.510", "arXiv 2304.13836", "labeled frog", "80 %"):
        assert said in text
    assert all(sentence.replace("'", "&#39;") in text for sentence in findings(found))
    assert HOSTILE not in text
    assert "http" not in text  # it needs no other file
    written = json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))
    assert (written["default"], written["methods"][1]["gap"]["value"]) == ("ig", 0.3)
    assert written["findings"] == findings(found)
    assert 'href="explanations.html"' in (tmp_path / "report.html").read_text()


def test_without_known_objects_nothing_is_said_of_them(tmp_path: Path) -> None:
    blind = replace(method("ig", 0.5), mass=None, pointing=None)
    found = measured(blind, object=None)
    page.write(tmp_path, card(), "x", found, [])
    assert "object" not in (tmp_path / "explanations.html").read_text(encoding="utf-8").split("</style>")[1]
    assert not any("object" in sentence for sentence in findings(found))


def test_a_report_has_the_place_for_the_link() -> None:
    assert page.MARK in (Path(page.__file__).parent / "page.html.jinja").read_text(encoding="utf-8")
