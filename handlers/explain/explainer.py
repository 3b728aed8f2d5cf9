"""Explanations of one model: the methods that fit, their costs on this machine, and the work for a batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from handlers.engines import EngineError
from handlers.engines.eager import Eager
from handlers.errors import DeadlineExceeded, InferenceFailed
from handlers.explain import evidence_fields, validation
from handlers.explain.evidence.neighbors import Neighbors
from handlers.explain.explanation import Explanation, ExplanationInput
from handlers.explain.methods import attribution, baselines, introspection
from handlers.explain.methods.attribution import Attribution
from handlers.explain.methods.background import MAX_IMAGES, Background
from handlers.explain.methods.introspection import Introspection
from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, Passes, TargetScore
from handlers.explain.registry import METHODS
from handlers.explain.rendering.legend import Caption, Class
from handlers.explain.rendering.overlay import HURRIED_SIDE, Shape, Style, overlay_size
from handlers.explain.scheduling import deadline
from handlers.explain.scheduling.costs import Costs
from handlers.explain.scheduling.deadline import Candidate, DeadlineChoice
from handlers.modalities.image.images import VIEW_SIDE, View
from handlers.options import ExplainOptions
from handlers.uncertainty import DIGITS
from models.card import Card, Explanations
from models.release import NEIGHBORS

logger = logging.getLogger(__name__)

# Slower methods, measured on one image, are not run at load.
QUICK_SECONDS = 0.3
# Reason why a method is not offered.
NO_TRAINING_IMAGES = "compares with training images, and this model has none"
# Name of the renderer among the methods whose costs are learned.
RENDER = "render"
# Width and height of the image that measures the renderer.
TEST_IMAGE = (384, 256)


@dataclass(frozen=True, slots=True)
class AttributionConfig:
    """A method and its settings. Images with the same configuration are explained together."""

    method: str
    settings: MethodSettings


class Explainer:
    """Explainer of a model, by its eager float32 network, whichever engine predicts.

    Args:
        folder: folder that may have `neighbors.safetensors`; None if there is none.

    Raises:
        EngineError: the card names a method or a layer that this network does not have.
    """

    def __init__(self, card: Card, eager_network: Eager, folder: Path | None = None) -> None:
        try:
            facts = introspection.introspect(eager_network.network, card.input.size, card.explanations.layer)
        except ValueError as error:
            raise EngineError(f"the card's explanations cannot be given: {error}") from None
        self.card = card
        self.device = eager_network.device
        self.target_score = TargetScore(eager_network.network, facts)
        has_training_images = folder is not None and NEIGHBORS in card.digests
        reasons = {name: _incompatibility(method, facts, has_training_images) for name, method in METHODS.items()}
        self.unsupported = {name: reason for name, reason in reasons.items() if reason is not None}
        self.supported = {name: method for name, method in METHODS.items() if name not in self.unsupported}
        self.default = card.explanations.method
        if self.unsupported.get(self.default) == NO_TRAINING_IMAGES:
            # Whoever archives a model may leave its training images out, and must get a model that explains.
            self.default = Explanations().method
            logger.warning(
                "the card's method %r %s: %r replaces it", card.explanations.method, NO_TRAINING_IMAGES, self.default
            )
        if self.default not in self.supported:
            reason = self.unsupported.get(self.default, "does not exist")
            raise EngineError(f"the card's method {self.default!r} {reason}")
        self._ranked_methods = deadline.ranked_methods(self.supported, self.default, card.explanations.faithfulness)
        self._folder = folder
        self._ran: set[str] = set()

    @cached_property
    def costs(self) -> Costs:
        """Return the cost of passes on this machine; measured on first use."""
        return Costs.measure(self.target_score, self.card.input.size, len(self.card.classes))

    def warm(self) -> None:
        """Measure the cost of passes, and run each quick method, so that no request is the first.

        Raises:
            NeighborsError: the training images of the archive cannot be used.
        """
        size, classes = self.card.input.size, len(self.card.classes)
        blank = torch.zeros(1, 3, size, size, device=self.device)
        weights = torch.eye(1, classes, device=self.device)
        for method in self._ranked_methods:
            settings = method.settings
            for _ in range(2):
                if self.costs.seconds(attribution.passes(method, settings), 1, method.name) <= QUICK_SECONDS:
                    inputs = self.attribution_inputs(blank, weights, settings)
                    start = time.perf_counter()
                    attribution.attribute(method, self.target_score, inputs, settings)
                    self._observe(method, settings, 1, time.perf_counter() - start)
        _ = self.neighbors
        self.costs.observe(self._render_seconds, self._render_seconds, RENDER)  # the first ratio is 1
        logger.info("%s; rendering takes %.0f ns for a pixel", self.costs, 1e9 * self._render_seconds)

    @cached_property
    def neighbors(self) -> Neighbors | None:
        """Return the training images of the release, if it has them."""
        return Neighbors.load(self._folder, self.card) if self._folder else None

    @cached_property
    def background(self) -> Background | None:
        """Return the training images that a method compares with, if the release has some; read on first use."""
        if self.neighbors is None:
            return None
        files = self.neighbors.thumbnails(MAX_IMAGES)
        return Background.of(files, self.card.input, self.target_score.network, self.device)

    # ---- before anything is computed

    def check(self, options: ExplainOptions) -> None:
        """Check the options of a request against the model, before its images are decoded.

        Raises:
            BadOption: the model cannot fulfill an option; the message lists what is possible.
        """
        validation.check_choices(options)
        method = validation.method_of(options, self.supported, self.unsupported, self.default)
        if method is not None:
            validation.settings_of(options, method)
        validation.target_of(options, 0, self.card)
        validation.check_drawing_options(options)

    def configure(
        self, options: ExplainOptions, overlay_shapes: Sequence[Shape], images: int, left_ms: float
    ) -> tuple[AttributionConfig, DeadlineChoice | None]:
        """Choose the method and its settings for the images of one request.

        Args:
            overlay_shapes: width and height of the images that need an overlay.
            images: number of images.
            left_ms: remaining time of the deadline, if the request has one.

        Raises:
            BadOption, DeadlineExceeded: see handlers/explain/scheduling/deadline.py.
        """
        method = validation.method_of(options, self.supported, self.unsupported, self.default)
        choice = None
        if options.deadline_ms is not None:
            methods = [method] if method else self._ranked_methods
            # A better method matters more than a larger overlay.
            candidates = [
                Candidate(candidate, side, *self._milliseconds(candidate, options, images, overlay_shapes, side))
                for candidate in methods
                for side in (VIEW_SIDE, HURRIED_SIDE)
            ]
            try:
                choice = deadline.choose(candidates, options.deadline_ms, left_ms)
            except DeadlineExceeded:
                for name in (*(candidate.name for candidate in methods), RENDER):
                    self.costs.relax(name)
                raise
            method = choice.method
        assert method is not None  # method_of returns None only with a deadline
        return AttributionConfig(method.name, validation.settings_of(options, method)), choice

    def _milliseconds(
        self, method: Method, options: ExplainOptions, images: int, overlay_shapes: Sequence[Shape], side: int
    ) -> tuple[float, float]:
        """Estimate a request by this method: on an idle machine, and at the recent speed."""
        sizes = [overlay_size(shape, side) for shape in overlay_shapes]
        pixels = sum(width * height for width, height in sizes)
        passes = attribution.passes(method, validation.settings_of(options, method))
        evidence_passes = evidence_fields.passes(options)
        name, factor = method.name, self.costs.factor_of(method.name)
        work = self.costs.seconds(Passes(passes.forward + evidence_passes.forward, passes.backward), images, name)
        rendering = self._render_seconds * pixels
        return 1000 * (work / factor + rendering), 1000 * (work + rendering * self.costs.factor_of(RENDER))

    def observe_rendering(self, shape: Shape, side: int, seconds: float) -> None:
        """Learn from the rendering time of an image of this size."""
        if "costs" in self.__dict__:
            width, height = overlay_size(shape, side)
            predicted = self._render_seconds * width * height * self.costs.factor_of(RENDER)
            self.costs.observe(predicted, seconds, RENDER)

    @cached_property
    def _render_seconds(self) -> float:
        """Measure the seconds to render the images of an explanation, for one pixel."""
        side = self.card.input.size
        view = View(Image.new("RGB", TEST_IMAGE), (0, 0, *TEST_IMAGE))
        heat = np.linspace(-1, 1, side * side, dtype=np.float32).reshape(side, side)
        caption = Caption("", Class(0, self.card.classes[0]))
        for _ in range(2):  # the first run takes longer
            blank = Explanation({}, heat, view, caption, Style())
            start = time.perf_counter()
            blank.overlay(), blank.pixels()
        width, height = overlay_size(TEST_IMAGE)
        return (time.perf_counter() - start) / (width * height)

    # ---- the work

    def explain(
        self, batch: torch.Tensor, images: Sequence[ExplanationInput], config: AttributionConfig
    ) -> list[Explanation]:
        """Explain N images with the same configuration.

        Args:
            batch: normalized images, (N, 3, size, size).

        Raises:
            Exception: whatever the network or the method raises.
        """
        start = time.perf_counter()
        method = METHODS[config.method]
        inputs = self._inputs(batch, images, config.settings)
        result = attribution.attribute(method, self.target_score, inputs, config.settings)
        evidence = evidence_fields.fields(
            self.target_score, self.card, self._requested_neighbors(images), result, inputs, images
        )
        seconds = time.perf_counter() - start
        evidence_passes = sum(evidence_fields.passes(image.options).forward for image in images) // len(images)
        self._observe(method, config.settings, len(images), seconds, evidence_passes)
        duration = {"milliseconds": round(1000 * seconds / len(images), 1)}
        return [
            self._explanation(self._fields(result, row, image, config) | members | duration, result, row, image, method)
            for row, (members, image) in enumerate(zip(evidence, images, strict=True))
        ]

    def _requested_neighbors(self, images: Sequence[ExplanationInput]) -> Neighbors | None:
        return self.neighbors if any(image.options.neighbors for image in images) else None

    def _observe(
        self, method: Method, settings: MethodSettings, images: int, seconds: float, evidence_passes: int = 0
    ) -> None:
        """Correct the estimated costs with the measured time of a method. Do nothing if costs are not measured."""
        if "costs" not in self.__dict__:
            return
        if method.name not in self._ran:  # the first run takes longer
            self._ran.add(method.name)
            return
        passes = attribution.passes(method, settings)
        predicted = self.costs.seconds(Passes(passes.forward + evidence_passes, passes.backward), images, method.name)
        self.costs.observe(predicted, seconds, method.name)

    def _inputs(
        self, batch: torch.Tensor, images: Sequence[ExplanationInput], settings: MethodSettings
    ) -> AttributionInputs:
        weights = batch.new_zeros(len(images), len(self.card.classes))
        for row, image in enumerate(images):
            weights[row, image.target.index] = 1
            if image.target.against is not None:
                weights[row, image.target.against] = -1
        return self.attribution_inputs(batch, weights, settings)

    def attribution_inputs(
        self, images: torch.Tensor, weights: torch.Tensor, settings: MethodSettings
    ) -> AttributionInputs:
        """Return N images with the weights of their scores, and with what the settings compare them with."""
        background = self.background if settings.baseline == baselines.TRAINING_IMAGES else None
        return baselines.attribution_inputs(images, weights, settings, self.card.input, background)

    def _fields(
        self, result: Attribution, row: int, image: ExplanationInput, config: AttributionConfig
    ) -> dict[str, Any]:
        """Return the members about the method and the explained score."""
        settings = {
            "steps": config.settings.steps,
            "baseline": config.settings.baseline,
            "smoothgrad_samples": config.settings.smoothgrad_samples or None,
        }
        target, context = image.target, image.context
        fields: dict[str, Any] = {
            "method": config.method,
            **{name: value for name, value in settings.items() if value is not None},
            "target": {
                **self._class(target.index),
                "source": target.source,
                "probability": round(float(context.probabilities[target.index]), DIGITS),
                "raw_probability": round(float(context.raw[target.index]), DIGITS),
            },
        }
        if target.against is not None:
            fields["contrast"] = self._class(target.against)
        if image.deadline_choice is not None:
            fields["deadline"] = image.deadline_choice.members()
        fields["target_logit"] = round(float(result.target_logit[row]), DIGITS)
        if result.baseline_logit is not None:
            fields["baseline_logit"] = round(float(result.baseline_logit[row]), DIGITS)
        completeness = result.completeness(row)
        return fields | ({"completeness": completeness} if completeness else {})

    def _class(self, index: int) -> dict[str, Any]:
        return {"label": self.card.classes[index], "index": index}

    def _explanation(
        self, fields: dict[str, Any], result: Attribution, row: int, image: ExplanationInput, method: Method
    ) -> Explanation:
        heat = result.visible_heat(row)
        if not torch.isfinite(heat).all():
            raise InferenceFailed(f"method {method.name} returned NaN or infinity for this image")
        options, target, classes = image.options, image.target, self.card.classes
        if options.sign == "positive":
            heat = heat.clamp(min=0)
        caption = Caption(
            title=method.title,
            target=Class(target.index, classes[target.index]),
            against=None if target.against is None else Class(target.against, classes[target.against]),
            probability=float(image.context.probabilities[target.index]),
            version=f"{self.card.name} {self.card.version}",
            unit="logits per input pixel" if method.complete else "",
        )
        side = image.deadline_choice.side if image.deadline_choice else VIEW_SIDE
        return Explanation(fields, heat.cpu().numpy(), image.view, caption, style(options, side))


def _incompatibility(method: Method, facts: Introspection, has_training_images: bool) -> str | None:
    """Return why a method does not fit the model, worded to follow "method <name> "; None if it fits."""
    if method.baseline == baselines.TRAINING_IMAGES and not has_training_images:
        return NO_TRAINING_IMAGES
    return method.incompatibility(facts)


def style(options: ExplainOptions, side: int) -> Style:
    """Return the style of a request's overlays, with at most this long side."""
    requested: dict[str, Any] = {
        "sign": options.sign,
        "resolution": options.resolution,
        "alpha": options.alpha,
        "colormap": options.colormap,
    }
    return Style(side=side, **{name: value for name, value in requested.items() if value is not None})
