"""Figures of attribution methods."""

from __future__ import annotations

from dataclasses import dataclass

from training.explanations.bootstrap import Mean

# A method with this result of the randomization test, or a larger one, does not show the network.
MAX_RANDOMIZATION = 0.2
# From this unsigned similarity on, the strength of a map at a pixel depends on the image more than on the network.
HIGH_UNSIGNED = 0.3
# A method counts as complete if it is for this share of the images; responses have a warning for the others.
MIN_COMPLETENESS = 0.95


@dataclass(frozen=True, slots=True)
class MethodFigures:
    """Figures of one method.

    Attributes:
        deletion, insertion: areas under the curves, see handlers/explain/evidence/faithfulness.py.
        gap: insertion minus deletion.
        gaps: the gap of each image, in the order of the sample.
        versus_random, versus_center: gap minus the gap of a random map, and of a map of the center, image by image.
        remove_and_debias: see training/explanations/remove_and_debias.py.
        completeness: share of images whose attributions are complete; None if the method does not promise it.
        randomization_test: similarity to maps of networks with random weights, less than 0.2 to pass; see
            training/explanations/randomization_test.py.
        spearman: mean absolute value of Spearman's correlation with the same maps.
        unsigned: mean of Spearman's correlation of the absolute values with those of the same maps.
        stability: relative change of the map under little noise: the largest of several copies, mean over the images.
        pointing_game: share of images whose highest value lies on the object; None if objects are unknown.
        relevance_mass: share of the evidence on the object; None if objects are unknown.
        passes: passes through the network for one image; a backward pass counts as two forward passes.
        milliseconds: time for one image alone, on one thread.
    """

    name: str
    title: str
    deletion: float
    insertion: float
    gap: Mean
    gaps: tuple[float, ...]
    versus_random: Mean
    versus_center: Mean
    remove_and_debias: float
    completeness: float | None
    randomization_test: float
    spearman: float
    unsigned: float
    stability: float
    pointing_game: float | None
    relevance_mass: Mean | None
    passes: int
    milliseconds: float

    @property
    def beats_trivial_maps(self) -> bool:
        """Return whether it is better than a random map and a map of the center, beyond chance."""
        return self.versus_random.low > 0 and self.versus_center.low > 0

    @property
    def is_complete(self) -> bool:
        """Return whether its attributions are complete for MIN_COMPLETENESS of the images."""
        return self.completeness is not None and self.completeness >= MIN_COMPLETENESS

    @property
    def passes_checks(self) -> bool:
        """Return whether its maps depend on the network: they pass the randomization test and beat trivial maps."""
        return self.randomization_test < MAX_RANDOMIZATION and self.beats_trivial_maps


@dataclass(frozen=True, slots=True)
class ExplanationFigures:
    """Figures of all methods of a release, on N images.

    Attributes:
        images: N.
        checked_images: number of images for the slow checks: randomization test and stability.
        methods: figures of the methods that fit the network.
        unsupported: why the other methods do not fit, by name.
        random_gap, center_gap: gaps of a random map and of a map of the center.
        insertion_from_mean: share of images where insertion starts from the mean color, because the blurred image
            keeps the class.
        insertion_start: mean probability of the class before any patch is inserted.
        object_share: mean share of an image that its object covers, which is the relevance mass of evenly spread
            evidence; None if objects are unknown.
    """

    images: int
    checked_images: int
    methods: tuple[MethodFigures, ...]
    unsupported: dict[str, str]
    random_gap: Mean
    center_gap: Mean
    insertion_from_mean: float
    insertion_start: float
    object_share: float | None

    def method(self, name: str) -> MethodFigures:
        """Return the figures of one method."""
        return next(method for method in self.methods if method.name == name)
