from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.engines import Outputs
from handlers.uncertainty import UncertaintyEstimator
from models.card import UncertaintyCard
from tests.unit.training.colors import UNCERTAINTY, card
from tests.unit.training.report.models import RULE, evaluation
from training import metrics, report
from training.cost import Cost
from training.data.dataset import Split
from training.evaluate import Evaluation
from training.loop.history import Epoch
from training.metrics import OodData
from training.report import Report
from training.report.pictures import confusion, mistakes

HISTORY = [
    Epoch(number, 1 / number, 0.5 + number / 10, 1.1 / number, 0.4 + number / 10, 0.1 / number, 2000.0, 1.5)
    for number in (1, 2, 3)
]
COST = Cost(83.2, 161.0, 7200.0, ("CPU",), 315_722, 6_896_128, 1_263_568)
HOSTILE = "<script>alert('x')</script> & $x_$ \N{CJK UNIFIED IDEOGRAPH-79CD}"


def answered(classes: int, uncertainty: UncertaintyCard | None, count: int = 60) -> Evaluation:
    """Answers of a model that is mostly right; the first class has a name that is to break things."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, classes - 1, (count,), generator=generator)  # the last class has no images
    logits = torch.randn(count, classes, generator=generator)
    logits[torch.arange(count), labels] += 3
    names = (HOSTILE, *(f"class {number}" for number in range(1, classes)))
    about = card(names, uncertainty)
    return Evaluation.of(
        about, UncertaintyEstimator(uncertainty) if uncertainty else None, Outputs(logits, logits), labels.tolist()
    )


def made(test: Evaluation, folder: Path, **more: object) -> Path:
    pictures = [np.full((8, 12, 3), number % 256, dtype=np.uint8) for number in range(len(test))]
    names = [f"<i>folder/{number}.png" for number in range(len(test))]
    split = Split(pictures, test.labels.tolist(), names)
    report.write(folder, Report(test=test, pictures=split, source="the test split of beads", **more))  # type: ignore[arg-type]
    return folder


class Page(HTMLParser):
    """Tags, text and links of a page, as a browser parses it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "style")]

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "a" / "report"
    more = {"history": HISTORY, "cost": COST, "recipe": {"epochs": 3}, "data_warnings": ["left out: <b>a.png: gray"]}
    return made(answered(4, UNCERTAINTY), folder, ood_data=OodData("be<ads", torch.linspace(-4, 0, 50)), **more)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Report of a release without uncertainty and history, over an older report."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "ood.png").write_bytes(b"of another time")
    return made(answered(3, None), folder, cost=Cost(1.0, 1.0, None, (), 5, 5, 5))


@pytest.mark.slow
def test_the_pictures_are_there(whole: Path) -> None:
    pictures = {
        "confusion.png",
        "curves.png",
        "mistakes.png",
        "ood.png",
        "reliability.png",
        "prediction_sets.png",
        "referral.png",
    }
    assert {path.name for path in whole.iterdir()} == pictures | {"metrics.json", "report.html"}
    for path in whole.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 250, path.name
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 20, path.name  # something is drawn


def test_metrics_json_holds_the_figures(whole: Path) -> None:
    document = json.loads((whole / "metrics.json").read_text(encoding="utf-8"))
    test = answered(4, UNCERTAINTY)
    assert document["accuracy"] == test.accuracy
    assert document["loss"] == test.loss
    assert document["confusion"] == test.confusion.tolist()
    assert document["epochs"][1]["calibration_accuracy"] == pytest.approx(0.6)
    assert document["recipe"] == {"epochs": 3}
    assert document["cost"]["joules"] == 7200
    assert document["ood_detection"]["ood_data"] == "be<ads"
    assert document["data_warnings"] == ["left out: <b>a.png: gray"]
    assert document["classes"][0]["name"] == HOSTILE
    assert (document["classes"][3]["recall"], document["classes"][3]["f1"]) == (None, None)


def test_metrics_json_is_described_in_full(whole: Path) -> None:
    from training.report.writing import document

    described = set(re.findall(r"\w+", str(document.__doc__)))
    assert set(json.loads((whole / "metrics.json").read_text(encoding="utf-8"))) - described == set()


def test_the_page_needs_no_other_file(whole: Path) -> None:
    page = Page((whole / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("img") == 7
    assert page.sources
    for source in page.sources:
        start, _, content = source.partition("base64,")
        assert start == "data:image/png;"
        Image.open(io.BytesIO(base64.b64decode(content))).verify()
    assert "url(" not in (whole / "report.html").read_text(encoding="utf-8")


def test_names_are_shown_and_never_obeyed(whole: Path) -> None:
    page = Page((whole / "report.html").read_text(encoding="utf-8"))
    assert {"script", "i", "b"} & set(page.tags) == set()
    for name in (HOSTILE, "be<ads", "left out: <b>a.png: gray"):
        assert name in page.text


def test_every_picture_says_how_it_is_read(whole: Path) -> None:
    text = (whole / "report.html").read_text(encoding="utf-8")
    assert text.count("<figcaption>") == 7
    assert "<figcaption></figcaption>" not in text
    assert len(re.findall(r'alt="[^"]{5,}"', text)) == 7


def test_the_page_says_what_was_measured_with_its_intervals(whole: Path) -> None:
    text = " ".join(Page((whole / "report.html").read_text(encoding="utf-8")).text.split())
    measured = ("the 60 images of the test split of beads", "the target is 90 %")
    spent = ("2 Wh", "1 min 23 s; 2 min 41 s of CPU", "6.9 MFLOP", "1.26 MB")
    made_from = ("epochs: 3", "a paint box", "60 to train, 20 to calibrate, 20 to test")
    for words in (*measured, *spent, *made_from):
        assert words in text
    assert re.search(r"Accuracy [\d.]+ % [\d.]+ to [\d.]+ %; \d+ of 60", text)


def test_without_trust_the_page_says_so_and_leaves_it_out(bare: Path) -> None:
    names = {"confusion.png", "metrics.json", "mistakes.png", "reliability.png", "report.html"}
    assert {path.name for path in bare.iterdir()} == names  # and nothing is left of the older report
    text = (bare / "report.html").read_text(encoding="utf-8")
    assert "This release is not calibrated" in text
    assert "Accept or refer" not in text


def test_energy_that_nobody_measured_is_not_known(bare: Path) -> None:
    assert "unknown: the machine" in (bare / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_model_of_two_classes_that_makes_no_mistake(tmp_path: Path) -> None:
    labels = torch.tensor([0, 1] * 10)
    test = Evaluation(card(("yes", "no")), labels, 20 * torch.eye(2)[labels])
    made(test, tmp_path, history=HISTORY[:1])
    assert mistakes.worst(test) == []
    text = " ".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text.split())
    assert "Accuracy 100 %" in text
    # 20 of 20 right: the interval is 84 to 100 %.
    assert "Right on 100 % of new images like these (83.9 to 100.0 %)." in text


@pytest.mark.slow
def test_large_confusion_matrix_shows_the_most_confused_pairs(tmp_path: Path) -> None:
    test = answered(120, UNCERTAINTY, count=300)
    made(test, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The full matrix is in metrics.json" in text
    assert "The other 60 classes" in text
    rows = re.findall(r'<td class="label">(.+?)</td>', text)
    assert len(rows) == 240  # two tables of 120 classes
    rows = rows[:120]
    found = {one.name: one.recall for one in metrics.figures(test).classes}
    recalls = [share.value for name in rows if (share := found.get(name)) is not None]
    assert recalls == sorted(recalls)


def test_pairs_are_the_mistakes_that_are_most_frequent() -> None:
    labels, places = torch.tensor([0, 0, 0, 1, 2, 2]), [1, 1, 0, 1, 0, 2]
    found = metrics.figures(Evaluation(card(), labels, torch.eye(3)[places]))
    assert confusion.pairs(found) == [("red", "green", 2, 3), ("blue", "red", 1, 2)]
    assert confusion.pairs(found, 1) == [("red", "green", 2, 3)]


def test_the_worst_mistakes_are_those_it_was_surest_of() -> None:
    logits = torch.tensor([[2.0, 0, 0], [9.0, 0, 0], [9.0, 0, 0], [4.0, 0, 0]])
    test = Evaluation(card(), torch.tensor([1, 0, 2, 1]), logits)
    assert mistakes.worst(test) == [2, 3, 0]
    assert mistakes.worst(test, 2) == [2, 3]


def text_of(folder: Path) -> str:
    return " ".join(Page((folder / "report.html").read_text(encoding="utf-8")).text.split())


def test_card_without_sets_has_the_reason_and_no_picture(tmp_path: Path) -> None:
    policy = UNCERTAINTY.policy.model_copy(update={"max_set_size": None})
    rule = UNCERTAINTY.model_copy(
        update={"conformal": None, "no_sets_reason": "30 images are too few", "policy": policy}
    )
    made(answered(3, rule), tmp_path)
    assert "This release returns no prediction sets: 30 images are too few." in text_of(tmp_path)
    assert not (tmp_path / "prediction_sets.png").exists()
    document = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert (document["prediction_sets"], document["no_sets_reason"]) == (None, "30 images are too few")


def test_temperature_of_one_has_no_before_and_after(tmp_path: Path) -> None:
    made(answered(3, UNCERTAINTY.model_copy(update={"temperature": 1.0})), tmp_path)
    text = text_of(tmp_path)
    assert "as served" in text
    assert "before" not in text.partition("Reliability by class")[0].partition("Calibration error")[2]


@pytest.mark.slow
def test_worse_figures_after_calibration_are_marked(tmp_path: Path) -> None:
    made(evaluation(list(range(20)), 400, rule=RULE.model_copy(update={"temperature": 3.0})), tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<p class="bad">Worse after calibration than before on the test images' in text
    assert len(re.findall(r'<td class="n bad">[\d.]+ \(worse\)</td>', text)) == 3


@pytest.mark.slow
def test_referral_that_does_not_help_is_marked(tmp_path: Path) -> None:
    made(evaluation(list(range(40)), 400, referred=tuple(range(380, 400))), tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<p class="bad">Referral by this policy does not help' in text
    assert "so referral does not help" in text


def test_no_text_claims_more_than_its_figure(whole: Path, bare: Path) -> None:
    for text in (text_of(whole), text_of(bare)):
        for claim in ("sees no alternative", "no alternative", "augmented training images", "images detected"):
            assert claim not in text
