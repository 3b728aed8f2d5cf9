"""The page and the figures on what was compiled."""

from __future__ import annotations

import json
from pathlib import Path

from models.card import Card, Compiled, EngineQuality
from training.compile import page
from training.compile.figures import OnTest, Optimized

HOSTILE = "<script>alert(1)</script>"
KEPT = EngineQuality(
    images=1000,
    accuracy=0.897,
    accuracy_float32=0.9,
    agreement=0.991,
    calibration_error=0.021,
    calibration_error_float32=0.02,
    milliseconds=1.0,
    milliseconds_float32=2.5,
)
INT8 = Compiled(name="cpu-int8", torch="2.13.0", requires=("avx2", "fma"), compiled_on=HOSTILE, quality=KEPT)
FP32 = INT8.model_copy(update={"name": "cpu-fp32", "rejection": "it is no faster: 2.6 ms an image against 2.5"})
TESTED = OnTest(accuracy=0.88, agreement=0.993, calibration_error=0.03, coverage=None, false_positive_rate=None)


def outcome(card: Card, *entries: Compiled) -> Optimized:
    return Optimized(
        card=card.model_copy(update={"engines": entries}),
        data=HOSTILE,
        tested={"eager": TESTED, "cpu-int8": TESTED},
        skipped={"cpu-bf16": "the processor does not multiply bfloat16 numbers"},
    )


def test_page_lists_accepted_and_rejected_engines_with_reasons(card: Card, tmp_path: Path) -> None:
    page.write(tmp_path, outcome(card, INT8, FP32))
    text = (tmp_path / page.FILE_NAME).read_text(encoding="utf-8")
    assert "<b>cpu-int8</b> may serve" in text
    assert '<b>cpu-fp32</b>: <span class="bad">it is no faster: 2.6 ms an image against 2.5</span>' in text
    assert "<b>cpu-bf16</b> was not tried: the processor does not multiply" in text
    assert "89.7 %" in text
    assert "99.1 %" in text
    assert "avx2, fma" in text
    assert HOSTILE not in text
    assert (tmp_path / page.PICTURE).stat().st_size > 5000


def test_the_same_stands_in_json(card: Card, tmp_path: Path) -> None:
    page.write(tmp_path, outcome(card, INT8, FP32))
    found = json.loads((tmp_path / page.FIGURES).read_text(encoding="utf-8"))
    assert [(one["name"], one["rejection"] is None) for one in found["engines"]] == [
        ("cpu-int8", True),
        ("cpu-fp32", False),
    ]
    assert found["engines"][0]["quality"]["agreement"] == 0.991
    assert found["test"]["cpu-int8"]["accuracy"] == 0.88
    assert found["limits"] == {"accuracy": 0.005, "agreement": 0.99, "calibration_error": 0.01, "coverage": 0.01}


def test_page_without_measurements_has_no_picture(card: Card, tmp_path: Path) -> None:
    page.write(
        tmp_path, outcome(card, INT8.model_copy(update={"quality": None, "rejection": "it answers with no number"}))
    )
    text = (tmp_path / page.FILE_NAME).read_text(encoding="utf-8")
    assert "No compiled program passed" in text
    assert not (tmp_path / page.PICTURE).exists()


def test_the_report_links_to_it_once(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text(f"<p>{page.MARK}</p>", encoding="utf-8")
    page.link(tmp_path)
    page.link(tmp_path)
    assert report.read_text(encoding="utf-8").count('href="engines.html"') == 1
