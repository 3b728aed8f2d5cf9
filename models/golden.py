"""Golden answers: a few images that are stored with the model, and the probabilities that every machine must compute.

`golden/` holds the images, `answers.json` of the eager network, and one such file for each compiled engine. They are
written when the model is trained or compiled. They are checked when it is archived, by every worker before it takes its
first request, and over HTTP before a version is promoted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.card import EAGER
from models.documents import parse_json

FOLDER = "golden"
ANSWERS = f"{FOLDER}/answers.json"
# Bytes of such a file; ten images and 21,841 classes take 5 million.
MAX_BYTES = 16_000_000
# Absolute, on each probability. Another CPU, thread count or a GPU moves float32 answers by far less than this; a
# wrong resize, normalization or weight moves them by far more.
TOLERANCE = 0.002
# Tolerance of engines that compute in fewer bits: their rounding differs between processors.
COARSE_TOLERANCE = 0.02


class GoldenError(ValueError):
    """The model does not answer its golden images as it did when it was trained; the message names image and values."""


def answers_of(engine: str) -> str:
    """Return the path of an engine's golden answers in a release and in a .mar."""
    return ANSWERS if engine == EAGER else f"{FOLDER}/{engine}.json"


def tolerance_of(engine: str) -> float:
    """Return the tolerance of an engine's probabilities, absolute."""
    return TOLERANCE if engine == EAGER or engine.endswith("-fp32") else COARSE_TOLERANCE


@dataclass(frozen=True, slots=True)
class Golden:
    """The expected probabilities, in the order of the card's classes, by the image's file name."""

    tolerance: float
    probabilities: Mapping[str, Sequence[float]]

    @classmethod
    def from_json(cls, text: bytes) -> Golden:
        """Read answers.json.

        Raises:
            GoldenError: it is damaged or holds no answer.
        """
        try:
            document = parse_json(text, ANSWERS, MAX_BYTES)
            golden = cls(float(document["tolerance"]), dict(document["probabilities"]))
        except (ValueError, KeyError, TypeError) as error:
            raise GoldenError(f"{ANSWERS} is damaged ({error!r:.80}): archive the release again") from None
        if not golden.probabilities:
            raise GoldenError(f"{ANSWERS} holds no golden answer: archive the release again")
        return golden

    def to_json(self) -> bytes:
        """Return the content of answers.json."""
        return json.dumps({"tolerance": self.tolerance, "probabilities": dict(self.probabilities)}, indent=2).encode()

    def check(self, name: str, actual: Sequence[float], classes: Sequence[str]) -> None:
        """Compare the answer for one image with the expected one.

        Raises:
            GoldenError: a probability is beyond the tolerance. A changed class is too, unless two classes tie.
        """
        expected = self.probabilities[name]
        if len(actual) != len(expected):
            raise GoldenError(f"golden image {name}: {len(actual)} classes answered, {len(expected)} expected")
        # `not <=` instead of `>`, so that a NaN exceeds the tolerance too.
        off = [
            index for index, (a, b) in enumerate(zip(actual, expected, strict=True)) if not abs(a - b) <= self.tolerance
        ]
        if off:
            worst = max(off, key=lambda index: abs(actual[index] - expected[index]))
            raise GoldenError(
                f"golden image {name}: class {classes[worst]!r} has probability {actual[worst]:.4f}, expected "
                f"{expected[worst]:.4f} within {self.tolerance}; this model does not compute here what it was trained "
                "to"
            )
