"""What is measured of attribution methods."""

from __future__ import annotations

from dataclasses import dataclass

from training.explanations.bootstrap import Mean

# A method whose maps are more alike than this after the network forgot all does not show the network.
LIKE = 0.2
# Of a method whose values should add up, the share of images for which they do.
COMPLETE = 0.99


@dataclass(frozen=True, slots=True)
class MethodFigures:
    """One method, or one map that never looked at the network.

    Attributes:
        deletion, insertion: areas under the curves, see handlers/explain/evidence/faithfulness.py.
        gap: insertion minus deletion.
        versus_random, versus_center: by how much it beats, image by image, a random map and one of the center.
        road: see training/explanations/road.py.
        completeness: for which share of the images the values add up; None where they need not.
        likeness: to maps of networks that know nothing, see training/explanations/randomization_test.py.
        spearman: of the same maps the mean of the absolute value of Spearman's correlation, as it is.
        change: under a little noise, the largest of several copies, the mean of the images.
        pointing: for which share of the images the highest value lies on the object; None where objects are unknown.
        mass: the share of the evidence on the object.
        passes: of an image through the network, one back counted as two forward.
        milliseconds: of one image alone, by one thread.
    """

    name: str
    title: str
    deletion: float
    insertion: float
    gap: Mean
    versus_random: Mean
    versus_center: Mean
    road: float
    completeness: float | None
    likeness: float
    spearman: float
    change: float
    pointing: float | None
    mass: Mean | None
    passes: int
    milliseconds: float

    @property
    def beats(self) -> bool:
        """Whether it is better than both maps that never looked, by more than chance would have it."""
        return self.versus_random.low > 0 and self.versus_center.low > 0

    @property
    def sound(self) -> bool:
        """Whether it shows the network: its maps change with it, and beat those that never looked."""
        return self.likeness < LIKE and self.beats


@dataclass(frozen=True, slots=True)
class Measured:
    """All methods of a release, on N images.

    Attributes:
        images, checked: N, and on how many of them the slow checks (likeness, change) were made.
        methods: those that are right for the network.
        refused: why the others are not, by name.
        random, center: the gaps of a random map and of one of the center.
        object: the mean share of an image that its object takes, which is what evidence anywhere would come to; None
            where objects are unknown.
    """

    images: int
    checked: int
    methods: tuple[MethodFigures, ...]
    refused: dict[str, str]
    random: Mean
    center: Mean
    object: float | None

    def method(self, name: str) -> MethodFigures:
        """The figures of one method, by its name."""
        return next(one for one in self.methods if one.name == name)
