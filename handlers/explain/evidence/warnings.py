"""What a reader of an explanation has to be told, lest it is trusted for more than it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.explain.evidence.faithfulness import Faithfulness
from handlers.explain.items import Known

# Below it, another class or none of them may well be the right one.
CONFIDENT = 0.5
# Two gaps of one image that are nearer to each other than this may be the same.
NOISE = 0.05

# Each kind of warning, and when it is given.
KINDS: Mapping[str, str] = {
    "out_of_distribution": "the image is unlike those that the model was trained on",
    "low_confidence": f"the most probable class has a probability below {CONFIDENT:g}",
    "engines_disagree": "the network that answered and the one that is explained name different classes",
    "incomplete": "the attributions do not add up to what they should",
    "worse_than_trivial": "the map is less faithful than one that never looked at the model",
}


def of(
    known: Known, explained: int, completeness: Mapping[str, Any] | None, faithfulness: Faithfulness | None
) -> list[dict[str, str]]:
    """The warnings for one image, each a type, a name of KINDS, and a message.

    Args:
        explained: the index of the most probable class, by the network that was explained.
        completeness: as it is answered.
        faithfulness: of the map, where it was measured.
    """
    found: dict[str, str] = {}
    uncertainty = known.uncertainty
    if uncertainty is not None and uncertainty.score > uncertainty.threshold:
        found["out_of_distribution"] = (
            f"the image is unlike those that the model was trained on ({uncertainty.method} {uncertainty.score:g}, "
            f"above {uncertainty.threshold:g}): class and map may mean nothing"
        )
    best = float(known.probabilities[known.predicted])
    if best < CONFIDENT:
        found["low_confidence"] = f"the most probable class has a probability of {best:.2f} only"
    if explained != known.predicted:
        found["engines_disagree"] = (
            "the network that answered and the float32 one that is explained name different classes for this image"
        )
    if completeness is not None and not completeness["ok"]:
        found["incomplete"] = (
            f"the attributions miss the difference between image and baseline by {abs(completeness['delta']):.3g}: "
            "more steps may help"
        )
    if faithfulness is not None and min(faithfulness.versus_random, faithfulness.versus_center) < -NOISE:
        other = "a random map" if faithfulness.versus_random < -NOISE else "one that points at the center"
        found["worse_than_trivial"] = f"the map is less faithful to the model than {other}"
    return [{"type": kind, "message": message} for kind, message in found.items()]
