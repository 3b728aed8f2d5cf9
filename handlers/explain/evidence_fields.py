"""JSON members of an explanation beside the attribution: regions, warnings, faithfulness, counterfactual, neighbors."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from handlers.explain.evidence import counterfactual, faithfulness, warnings
from handlers.explain.evidence.faithfulness import Faithfulness
from handlers.explain.evidence.neighbors import Neighbors
from handlers.explain.explanation import ExplanationInput
from handlers.explain.methods import baselines
from handlers.explain.methods.attribution import Attribution
from handlers.explain.methods.method import AttributionInputs, Passes, TargetScore
from handlers.explain.methods.patches import Logits
from handlers.explain.rendering import regions
from handlers.explain.rendering.regions import Box, Region, Regions
from handlers.modalities.image.images import View
from handlers.options import ExplainOptions
from models.card import Card

# Passes that most counterfactual searches need. The upper bound is several times as high.
COUNTERFACTUAL_PASSES = 150


def passes(options: ExplainOptions) -> Passes:
    """Return the cost of the requested evidence for one image, without the attribution method."""
    forward = 0
    if options.faithfulness:
        forward += faithfulness.PASSES
    if options.counterfactual:
        forward += COUNTERFACTUAL_PASSES
    return Passes(forward, 0)


def fields(
    target_score: TargetScore,
    card: Card,
    neighbors: Neighbors | None,
    attributions: Attribution,
    inputs: AttributionInputs,
    images: Sequence[ExplanationInput],
) -> list[dict[str, Any]]:
    """Return the members for each of N images."""
    heats = torch.stack([attributions.visible_heat(row) for row in range(len(images))])
    has_evidence = [attributions.has_evidence(row) for row in range(len(images))]
    measured_rows = [row for row, image in enumerate(images) if image.options.faithfulness and has_evidence[row]]
    faithfulness_by_row = _faithfulness(target_score, inputs, heats, measured_rows)
    neighbors_by_row = _neighbors(neighbors, images)
    results = []
    for row, image in enumerate(images):
        image_regions = _in_image(regions.find(heats[row].cpu(), _size(image.view)), image.view)
        against = None if image.target.against is None else card.classes[image.target.against]
        sentence = regions.sentence(image_regions, card.classes[image.target.index], against)
        members: dict[str, Any] = {
            "regions": image_regions.members() | {"sentence": sentence},
            "warnings": warnings.of(image.context, attributions, row, faithfulness_by_row.get(row)),
        }
        # Without evidence the order of the patches is arbitrary, so neither is measured.
        if image.options.faithfulness:
            members["faithfulness"] = faithfulness_by_row[row].members() if has_evidence[row] else None
        if image.options.counterfactual:
            members["counterfactual"] = (
                _counterfactual(target_score, card, inputs, heats, row, image) if has_evidence[row] else None
            )
        if row in neighbors_by_row:
            members["neighbors"] = neighbors_by_row[row]
        results.append(members)
    return results


def _size(view: View) -> tuple[int, int]:
    left, top, right, bottom = view.box
    return round(right - left), round(bottom - top)


def _moved(box: Box, view: View) -> Box:
    """Convert a box of the view to a box of the image that was sent."""
    x, y = round(view.box[0]), round(view.box[1])
    left, top, right, bottom = box
    return left + x, top + y, right + x, bottom + y


def _in_image(view_regions: Regions, view: View) -> Regions:
    """Convert regions of the view to regions of the image that was sent."""

    def moved(region: Region) -> Region:
        return replace(region, box=_moved(region.box, view))

    return replace(
        view_regions,
        evidence_for=tuple(moved(region) for region in view_regions.evidence_for),
        against=tuple(moved(region) for region in view_regions.against),
    )


def _faithfulness(
    target_score: TargetScore, inputs: AttributionInputs, heats: torch.Tensor, rows: list[int]
) -> dict[int, Faithfulness]:
    """Measure the maps of these rows."""
    if not rows:
        return {}
    measured = faithfulness.measure(target_score.network, inputs.images[rows], inputs.weights[rows], heats[rows])
    return dict(zip(rows, measured, strict=True))


def _neighbors(neighbors: Neighbors | None, images: Sequence[ExplanationInput]) -> dict[int, list[dict[str, Any]]]:
    """Look up the neighbors of the rows whose requests ask for them."""
    rows = [row for row, image in enumerate(images) if image.options.neighbors]
    if neighbors is None or not rows:
        return {}
    largest_count = max(images[row].options.neighbors for row in rows)
    nearest = neighbors.nearest(torch.stack([images[row].context.embedding for row in rows]), largest_count)
    return {
        row: [
            {**neighbor.members(), "thumbnail": base64.b64encode(neighbor.thumbnail).decode("ascii")}
            for neighbor in row_neighbors[: images[row].options.neighbors]
        ]
        for row, row_neighbors in zip(rows, nearest, strict=True)
    }


def _counterfactual(
    target_score: TargetScore,
    card: Card,
    inputs: AttributionInputs,
    heats: torch.Tensor,
    row: int,
    image: ExplanationInput,
) -> dict[str, Any] | None:
    """Search the patches that change the predicted class; return None if no set of patches does."""
    predicted = image.context.predicted
    # Evidence against another class is the best guess at evidence for the predicted class.
    sign = 1 if image.target.index == predicted else -1
    pixels = inputs.images[row : row + 1]
    result = counterfactual.find(
        _calibrated(target_score, card),
        pixels,
        baselines.blur(pixels),
        sign * heats[row],
        predicted,
        _size(image.view),
    )
    if result is None:
        return None
    result = replace(result, boxes=tuple(_moved(box, image.view) for box in result.boxes))
    return {"label": card.classes[result.new_class], **result.members()}


def _calibrated(target_score: TargetScore, card: Card) -> Logits:
    temperature = card.uncertainty.temperature if card.uncertainty else 1.0
    return lambda images: target_score.network(images) / temperature
