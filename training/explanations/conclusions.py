"""What the figures say, in sentences."""

from __future__ import annotations

from training.explanations.default_method import NOISE, choose
from training.explanations.figures import COMPLETE, LIKE, Measured

# Less of the evidence on the object than this, and the model looks elsewhere.
ON_OBJECT = 0.5


def findings(measured: Measured) -> list[str]:
    """What has to be known before the explanations of a release are relied on; what weighs most comes first."""
    chosen, sound = choose(measured), any(one.sound for one in measured.methods)
    return [
        *_where(measured),
        *([] if sound else ["no method is sound on this model: what its maps show has little to do with its answers"]),
        f"the default is {chosen.name}: {_why(measured)}",
        *_habits(measured),
        *(f"{name} is refused: {why}" for name, why in measured.refused.items()),
    ]


def _where(measured: Measured) -> list[str]:
    mass = choose(measured).mass
    if mass is None or measured.object is None:
        return []
    chance = f"the object takes {measured.object:.0%} of the image"
    if mass.value < ON_OBJECT:
        return [
            f"the model looks elsewhere: {1 - mass.value:.0%} of the evidence lies outside the object ({chance}), so "
            "its answers rest on something else, however many of them are right"
        ]
    return [f"{mass.value:.0%} of the evidence lies on the object ({chance})"]


def _why(measured: Measured) -> str:
    chosen = choose(measured)
    candidates = [one for one in measured.methods if one.sound] or measured.methods
    best = max(candidates, key=lambda one: one.gap.value)
    among = "the sound methods" if chosen.sound else "all methods"
    if best == chosen:
        return f"its gap, {chosen.gap.value:.3f}, is the best of {among}"
    return (
        f"its gap, {chosen.gap.value:.3f}, is within {NOISE} of the best of {among} ({best.name}, "
        f"{best.gap.value:.3f}), and it takes fewer passes"
    )


def _habits(measured: Measured) -> list[str]:
    """Which methods fail at what."""
    methods = measured.methods
    failing = {
        f"maps stay alike after the network forgot all it had learnt (likeness of {LIKE} or more)": [
            f"{one.name} ({one.likeness:.2f})" for one in methods if one.likeness >= LIKE
        ],
        "not shown to be better than a random map": [one.name for one in methods if one.versus_random.low <= 0],
        "not shown to be better than a map of the center, which never looked at the model": [
            one.name for one in methods if one.versus_center.low <= 0
        ],
        f"values add up for less than {COMPLETE:.0%} of the images; the others are flagged when they are answered": [
            f"{one.name} ({one.completeness:.0%})"
            for one in methods
            if one.completeness is not None and one.completeness < COMPLETE
        ],
    }
    return [f"{what}: {', '.join(names)}" for what, names in failing.items() if names]
