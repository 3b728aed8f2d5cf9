"""Answers: what an explanation says."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.card import Card
from tests.integration.contract import Ask, ok, row
from tests.integration.contract.answers import board, uncertainty


def explained(ask: Ask, query: str = "", label: str = "3") -> dict[str, Any]:
    return ok(ask.post(f"/explanations/digits?{query}", ask.digit[label]))


@row("why-method")
def why_method(ask: Ask) -> None:
    assert (explained(ask)["method"], explained(ask)["steps"], explained(ask)["baseline"]) == ("ig", 50, "blur")
    found = explained(ask, "method=gradcam&smoothgrad_samples=3")
    assert (found["method"], found["smoothgrad_samples"]) == ("gradcam", 3)
    assert not {"steps", "baseline", "baseline_logit", "completeness"} & set(found)


@row("why-target")
def why_target(ask: Ask) -> None:
    """Raw and calibrated probability are of the same logits, one of them over the temperature."""
    found = explained(ask, "target=8&top_k=10")
    target = found["target"]
    (listed,) = [one for one in found["predictions"] if one["label"] == "8"]
    assert target == {**listed, "source": "requested"}
    first, second = found["predictions"][:2]
    odds, raw = (math.log(first[name] / second[name]) for name in ("probability", "raw_probability"))
    assert raw == pytest.approx(odds * uncertainty(ask).temperature, rel=1e-2)


@row("why-contrast", "why-logits")
def why_contrast(ask: Ask) -> None:
    """Explain one logit minus the other."""
    three, eight, both = (explained(ask, query) for query in ("target=3", "target=8", "contrast=3,8"))
    for name in ("target_logit", "baseline_logit"):
        assert both[name] == pytest.approx(three[name] - eight[name], abs=1e-4)
    assert (both["target"]["source"], both["contrast"]) == ("contrast", {"label": "8", "index": 8})


@row("why-completeness")
def why_completeness(ask: Ask) -> None:
    found = explained(ask)
    difference = found["target_logit"] - found["baseline_logit"]
    heat = np.load(io.BytesIO(ask.post("/explanations/digits?output=npy", ask.digit["3"]).content))
    assert float(heat.astype(float).sum()) - difference == pytest.approx(found["completeness"]["delta"], abs=0.05)
    assert found["completeness"]["ok"] is (abs(found["completeness"]["delta"]) <= 0.05 * max(abs(difference), 1))


@row("why-regions")
def why_regions(ask: Ask) -> None:
    width, height = Image.open(io.BytesIO(ask.digit["3"])).size
    found = explained(ask)["regions"]
    assert found["for"]
    for region in (*found["for"], *found["against"]):
        left, top, right, bottom = region["box"]
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert 0 < region["share"] <= 1
    assert 0 <= found["balance"] <= 1
    assert 'the evidence for "3"' in found["sentence"]


@row("why-warnings")
def why_warnings(ask: Ask) -> None:
    kinds = [one["type"] for one in ok(ask.post("/explanations/digits", board()))["warnings"]]
    assert "out_of_distribution" in kinds
    assert explained(ask)["warnings"] == []
    gray = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 90, 90)).save(gray, "PNG")
    empty = ok(ask.post("/explanations/digits?method=ig", gray.getvalue()))
    assert "no_evidence" in [one["type"] for one in empty["warnings"]]
    assert empty["regions"]["balance"] is None


@row("why-milliseconds")
def why_milliseconds(ask: Ask) -> None:
    assert 0 < explained(ask)["milliseconds"] < 60_000


@row("why-pictures")
def why_pictures(ask: Ask) -> None:
    found = explained(ask)
    overlay, heatmap = (
        Image.open(io.BytesIO(base64.b64decode(found[name]))) for name in ("overlay_png", "heatmap_png")
    )
    assert (overlay.format, heatmap.format) == ("PNG", "PNG")
    assert (
        max(overlay.size)
        > max(heatmap.size)
        == Card.load(ask.server.workspace / "releases" / "digits" / "1.0").input.size
    )
