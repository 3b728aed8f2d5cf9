"""What an answer says beside the map: where the evidence lies, how good the map is, what would change the answer."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from handlers.explain.attribution import Attribution
from handlers.explain.evidence import counterfactual, faithfulness, warnings
from handlers.explain.evidence.faithfulness import Faithfulness
from handlers.explain.evidence.neighbors import Neighbors
from handlers.explain.items import Item
from handlers.explain.methods import baselines
from handlers.explain.methods.method import Passes, Question, Readout
from handlers.explain.methods.patches import Logits
from handlers.explain.rendering import regions
from handlers.explain.rendering.regions import Region, Regions
from handlers.modalities.image.images import View
from handlers.options import Options
from models.card import Card

# Passes of a search, as most need; there is no bound for it that is not several times as high.
COUNTERFACTUAL = 150


def passes(options: Options) -> Passes:
    """What the evidence that a request asks for costs an image, beside the method."""
    forward = 0
    if options.faithfulness:
        forward += faithfulness.PASSES
    if options.counterfactual:
        forward += COUNTERFACTUAL
    return Passes(forward, 0)


def fields(
    readout: Readout,
    card: Card,
    neighbors: Neighbors | None,
    found: Attribution,
    question: Question,
    items: Sequence[Item],
) -> list[dict[str, Any]]:
    """The members of each of N answers."""
    heats = torch.stack([found.heat(row) for row in range(len(items))])
    measured = _faithfulness(readout, question, heats, items)
    near = _neighbors(neighbors, items)
    explained = found.logits.argmax(dim=1).tolist()
    answers = []
    for row, item in enumerate(items):
        where = _placed(regions.find(heats[row].cpu(), _size(item.view)), item.view)
        target, other = item.target, item.target.against
        against = None if other is None else card.classes[other]
        sentence = regions.sentence(where, card.classes[target.index], against)
        answer: dict[str, Any] = {
            "regions": where.members() | {"sentence": sentence},
            "warnings": warnings.of(item.known, explained[row], found.completeness(row), measured.get(row)),
        }
        if row in measured:
            answer["faithfulness"] = measured[row].members()
        if item.options.counterfactual:
            answer["counterfactual"] = _counterfactual(readout, card, question, heats, row, item)
        if row in near:
            answer["neighbors"] = near[row]
        answers.append(answer)
    return answers


def _size(view: View) -> tuple[int, int]:
    left, top, right, bottom = view.box
    return round(right - left), round(bottom - top)


def _placed(found: Regions, view: View) -> Regions:
    """Boxes of the view as boxes of the picture that was sent."""
    x, y = round(view.box[0]), round(view.box[1])

    def moved(region: Region) -> Region:
        left, top, right, bottom = region.box
        return replace(region, box=(left + x, top + y, right + x, bottom + y))

    if x == y == 0:
        return found
    return replace(
        found,
        evidence_for=tuple(moved(region) for region in found.evidence_for),
        against=tuple(moved(region) for region in found.against),
    )


def _faithfulness(
    readout: Readout, question: Question, heats: torch.Tensor, items: Sequence[Item]
) -> dict[int, Faithfulness]:
    """Of the rows whose requests ask for it."""
    rows = [row for row, item in enumerate(items) if item.options.faithfulness]
    if not rows:
        return {}
    images = question.images[rows]
    blurred = baselines.blur(images)
    found = faithfulness.measure(readout.network, images, question.weights[rows], heats[rows], blurred)
    return dict(zip(rows, found, strict=True))


def _neighbors(neighbors: Neighbors | None, items: Sequence[Item]) -> dict[int, list[dict[str, Any]]]:
    rows = [row for row, item in enumerate(items) if item.options.neighbors]
    if neighbors is None or not rows:
        return {}
    most = max(items[row].options.neighbors for row in rows)
    near = neighbors.nearest(torch.stack([items[row].known.embedding for row in rows]), most)
    return {
        row: [
            {**one.members(), "thumbnail": base64.b64encode(one.thumbnail).decode("ascii")}
            for one in found[: items[row].options.neighbors]
        ]
        for row, found in zip(rows, near, strict=True)
    }


def _counterfactual(
    readout: Readout, card: Card, question: Question, heats: torch.Tensor, row: int, item: Item
) -> dict[str, Any] | None:
    """What would change the class that is answered, with its label; None where no set of patches does."""
    predicted = item.known.predicted
    # What speaks against another class is the best guess at what speaks for the one that is answered.
    sign = 1 if item.target.index == predicted else -1
    image, size = question.images[row : row + 1], _size(item.view)
    found = counterfactual.find(
        _calibrated(readout, card), image, baselines.blur(image), sign * heats[row], predicted, size
    )
    if found is None:
        return None
    x, y = round(item.view.box[0]), round(item.view.box[1])
    boxes = tuple((left + x, top + y, right + x, bottom + y) for left, top, right, bottom in found.boxes)
    return {"label": card.classes[found.becomes], **replace(found, boxes=boxes).members()}


def _calibrated(readout: Readout, card: Card) -> Logits:
    temperature = card.uncertainty.temperature if card.uncertainty else 1.0
    return lambda images: readout.network(images) / temperature
