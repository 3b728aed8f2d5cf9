"""Warnings that limit how far an explanation can be trusted."""

from __future__ import annotations

from collections.abc import Mapping

from handlers.decision import PredictionContext
from handlers.explain.evidence.faithfulness import Faithfulness
from handlers.explain.methods.attribution import MIN_EVIDENCE, Attribution

# Below this probability, another class may well be right.
MIN_CONFIDENCE = 0.5
# Differences between two gaps of one image up to this size are noise.
GAP_NOISE = 0.05

# Each type of warning, and its meaning.
KINDS: Mapping[str, str] = {
    "out_of_distribution": "the image is unlike those that the model was trained on",
    "low_confidence": f"the most probable class has a probability below {MIN_CONFIDENCE:g}",
    "engines_disagree": "the network that answered and the one that is explained name different classes",
    "no_evidence": f"the attributions are less than {100 * MIN_EVIDENCE:g} % of the score, so the map is empty",
    "incomplete": "the attributions do not sum to the difference between the scores of image and baseline",
    "worse_than_trivial": "the map is less faithful than a random map or a map of the center",
}


def of(
    context: PredictionContext,
    attributions: Attribution,
    row: int,
    faithfulness: Faithfulness | None,
) -> list[dict[str, str]]:
    """Return the warnings for one image; each has a type, which is a key of KINDS, and a message.

    Args:
        attributions: attributions of the batch.
        row: the image's row in them.
        faithfulness: faithfulness of the map, if it was measured.
    """
    messages: dict[str, str] = {}
    uncertainty = context.uncertainty
    if uncertainty is not None and uncertainty.score > uncertainty.threshold:
        messages["out_of_distribution"] = (
            f"the image is unlike those that the model was trained on ({uncertainty.method} {uncertainty.score:g}, "
            f"above {uncertainty.threshold:g}): class and map may mean nothing"
        )
    best = float(context.probabilities[context.predicted])
    if best < MIN_CONFIDENCE:
        messages["low_confidence"] = f"the most probable class has a probability of {best:.2f} only"
    if int(attributions.logits[row].argmax()) != context.predicted:
        messages["engines_disagree"] = (
            "the network that answered and the float32 one that is explained name different classes for this image"
        )
    if not attributions.has_evidence(row):
        messages["no_evidence"] = (
            f"the absolute attributions sum to less than {100 * MIN_EVIDENCE:g} % of the score "
            f"({float(attributions.target_logit[row]):.3g}), or of 1: they are noise, so the map is empty"
        )
    completeness = attributions.completeness(row)
    if completeness is not None and not completeness["ok"]:
        messages["incomplete"] = (
            f"the attributions miss the difference between the two scores by {abs(completeness['delta']):.3g}: "
            "more steps may help"
        )
    if faithfulness is not None and min(faithfulness.versus_random, faithfulness.versus_center) < -GAP_NOISE:
        trivial_map = "a random map" if faithfulness.versus_random < -GAP_NOISE else "a map of the center"
        messages["worse_than_trivial"] = f"the map is less faithful to the model than {trivial_map}"
    return [{"type": kind, "message": message} for kind, message in messages.items()]
