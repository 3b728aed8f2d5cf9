"""A model that can say why: which methods are right for it, what they cost here, and how a batch is explained."""

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
from handlers.explain import METHODS, attribution, validation
from handlers.explain.attribution import Attribution
from handlers.explain.evidence import evidence
from handlers.explain.evidence.neighbors import Neighbors
from handlers.explain.items import Explained, Item
from handlers.explain.methods import baselines, introspection
from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings
from handlers.explain.rendering.legend import Caption, Class
from handlers.explain.rendering.overlay import HURRIED_SIDE, Shape, Style, drawn_size
from handlers.explain.scheduling import deadline
from handlers.explain.scheduling.costs import Costs
from handlers.explain.scheduling.deadline import Candidate, Choice
from handlers.modalities.image.images import VIEW_SIDE, View
from handlers.options import Options
from handlers.uncertainty import DIGITS
from models.card import Card

logger = logging.getLogger(__name__)

# Methods that take longer on one image are not run at load.
QUICK_SECONDS = 0.3
# What drawing is called among the methods whose costs are learnt.
DRAWING = "render"
# The picture that drawing is timed with, width and height.
DRAWN = (384, 256)


@dataclass(frozen=True, slots=True)
class Way:
    """A method and how it is run: what is explained in the same way is explained together."""

    method: str
    settings: Settings


class Explainer:
    """Explains what an engine answers, by its eager network: the eager float32 network.

    Args:
        folder: where `neighbors.safetensors` may lie; None where there is none.

    Raises:
        EngineError: the card names a method or a layer that this network does not have.
    """

    def __init__(self, card: Card, eager_network: Eager, folder: Path | None = None) -> None:
        try:
            found = introspection.scan(eager_network.network, card.input.size, card.explanations.layer)
        except ValueError as error:
            raise EngineError(f"the card's explanations cannot be given: {error}") from None
        self.card = card
        self.device = eager_network.device
        self.readout = Readout(eager_network.network, found)
        refusals = {name: method.refuses(found) for name, method in METHODS.items()}
        self.refused = {name: why for name, why in refusals.items() if why is not None}
        self.works = {name: method for name, method in METHODS.items() if name not in self.refused}
        wanted = card.explanations.method
        if wanted not in self.works:
            raise EngineError(f"the card's method {wanted!r} {self.refused.get(wanted, 'does not exist')}")
        self.default = wanted
        self._ladder = deadline.ladder(self.works, self.default, card.explanations.faithfulness)
        self._folder = folder
        self._ran: set[str] = set()

    @cached_property
    def costs(self) -> Costs:
        """What a pass costs on this machine; measured when it is first asked for."""
        return Costs.measure(self.readout, self.card.input.size, len(self.card.classes))

    def warm(self) -> None:
        """Measure what a pass costs, and run each method that is quick, so that no request is the first.

        Raises:
            NeighborsError: the archive's training images cannot be used.
        """
        size, classes = self.card.input.size, len(self.card.classes)
        blank = torch.zeros(1, 3, size, size, device=self.device)
        weights = torch.eye(1, classes, device=self.device)
        for method in self._ladder:
            settings = method.settings
            question = baselines.question(blank, weights, settings, self.card.input)
            for _ in range(2):
                if self.costs.seconds(attribution.passes(method, settings), 1, method.name) <= QUICK_SECONDS:
                    began = time.perf_counter()
                    attribution.attribute(method, self.readout, question, settings)
                    self._observe(method, settings, 1, time.perf_counter() - began)
        _ = self.neighbors
        self.costs.observe(self._drawing, self._drawing, DRAWING)  # a ratio of one, to begin with
        logger.info("%s; a pixel takes %.0f ns to draw", self.costs, 1e9 * self._drawing)

    @cached_property
    def neighbors(self) -> Neighbors | None:
        """The training images that came with the model."""
        return Neighbors.load(self._folder, self.card) if self._folder else None

    # ---- before anything is computed

    def check(self, options: Options) -> None:
        """Whether a request can be answered as it wants, whatever is on its images.

        Raises:
            BadOption: it cannot; the message says what can be asked for.
        """
        method = validation.method_of(options, self.works, self.refused, self.default)
        if method is not None:
            validation.settings_of(options, method)
        validation.target_of(options, 0, self.card)
        validation.check_picture(options)

    def way(self, options: Options, drawn: Sequence[Shape], images: int, left_ms: float) -> tuple[Way, Choice | None]:
        """How to explain the images of one request.

        Args:
            drawn: width and height of those that have to be drawn for it.
            images: how many it has.
            left_ms: of its deadline, if it has one.

        Raises:
            BadOption, DeadlineExceeded: see handlers/explain/scheduling/deadline.py.
        """
        method = validation.method_of(options, self.works, self.refused, self.default)
        choice = None
        if options.deadline_ms is not None:
            methods = [method] if method else self._ladder
            # A better method matters more than a larger picture.
            candidates = [
                Candidate(one, side, *self._milliseconds(one, options, images, drawn, side))
                for one in methods
                for side in (VIEW_SIDE, HURRIED_SIDE)
            ]
            try:
                choice = deadline.choose(candidates, options.deadline_ms, left_ms)
            except DeadlineExceeded:
                for name in (*(one.name for one in methods), DRAWING):
                    self.costs.relax(name)
                raise
            method = choice.method
        assert method is not None  # without a deadline, method_of has one
        return Way(method.name, validation.settings_of(options, method)), choice

    def _milliseconds(
        self, method: Method, options: Options, images: int, drawn: Sequence[Shape], side: int
    ) -> tuple[float, float]:
        """Of a request by this method: on an idle machine, and as slow as answers were lately."""
        sizes = [drawn_size(shape, side) for shape in drawn]
        pixels = sum(width * height for width, height in sizes)
        passes = attribution.passes(method, validation.settings_of(options, method))
        more = evidence.passes(options)
        name, factor = method.name, self.costs.factor_of(method.name)
        work = self.costs.seconds(Passes(passes.forward + more.forward, passes.backward), images, name)
        drawing = self._drawing * pixels
        return 1000 * (work / factor + drawing), 1000 * (work + drawing * self.costs.factor_of(DRAWING))

    def drew(self, shape: Shape, side: int, seconds: float) -> None:
        """Learn from what the pictures of an image of this size took."""
        if "costs" in self.__dict__:
            width, height = drawn_size(shape, side)
            predicted = self._drawing * width * height * self.costs.factor_of(DRAWING)
            self.costs.observe(predicted, seconds, DRAWING)

    @cached_property
    def _drawing(self) -> float:
        """Seconds that the pictures of an answer take for a pixel of theirs."""
        side = self.card.input.size
        view = View(Image.new("RGB", DRAWN), (0, 0, *DRAWN))
        heat = np.linspace(-1, 1, side * side, dtype=np.float32).reshape(side, side)
        caption = Caption("", Class(0, self.card.classes[0]))
        for _ in range(2):  # the first time takes longer
            blank = Explained({}, heat, view, caption, Style())
            began = time.perf_counter()
            blank.overlay(), blank.pixels()
        width, height = drawn_size(DRAWN)
        return (time.perf_counter() - began) / (width * height)

    # ---- the work

    def explain(self, batch: torch.Tensor, items: Sequence[Item], way: Way) -> list[Explained]:
        """Explain N images in one way.

        Args:
            batch: the normalized images, (N, 3, size, size).

        Raises:
            Exception: what the network or the method raises.
        """
        began = time.perf_counter()
        method = METHODS[way.method]
        question = self._question(batch, items, way.settings)
        found = attribution.attribute(method, self.readout, question, way.settings)
        beside = evidence.fields(self.readout, self.card, self._near(items), found, question, items)
        seconds = time.perf_counter() - began
        more = sum(evidence.passes(item.options).forward for item in items) // len(items)
        self._observe(method, way.settings, len(items), seconds, more)
        took = {"milliseconds": round(1000 * seconds / len(items), 1)}
        return [
            self._explained(self._fields(found, row, item, way) | more | took, found, row, item, method)
            for row, (more, item) in enumerate(zip(beside, items, strict=True))
        ]

    def _near(self, items: Sequence[Item]) -> Neighbors | None:
        return self.neighbors if any(item.options.neighbors for item in items) else None

    def _observe(self, method: Method, settings: Settings, images: int, seconds: float, more: int = 0) -> None:
        """Learn from what it took, `more` passes beside the method's counted; once costs are of interest."""
        if "costs" not in self.__dict__:
            return
        if method.name not in self._ran:  # the first time takes longer
            self._ran.add(method.name)
            return
        passes = attribution.passes(method, settings)
        predicted = self.costs.seconds(Passes(passes.forward + more, passes.backward), images, method.name)
        self.costs.observe(predicted, seconds, method.name)

    def _question(self, batch: torch.Tensor, items: Sequence[Item], settings: Settings) -> Question:
        weights = batch.new_zeros(len(items), len(self.card.classes))
        for row, item in enumerate(items):
            weights[row, item.target.index] = 1
            if item.target.against is not None:
                weights[row, item.target.against] = -1
        return baselines.question(batch, weights, settings, self.card.input)

    def _fields(self, found: Attribution, row: int, item: Item, way: Way) -> dict[str, Any]:
        """What the answer says of the method and of the number that it explained."""
        settings = {
            "steps": way.settings.steps,
            "baseline": way.settings.baseline,
            "smoothgrad_samples": way.settings.smoothgrad_samples or None,
        }
        target, known = item.target, item.known
        fields: dict[str, Any] = {
            "method": way.method,
            **{name: value for name, value in settings.items() if value is not None},
            "target": {
                **self._class(target.index),
                "source": target.source,
                "probability": round(float(known.probabilities[target.index]), DIGITS),
                "raw_probability": round(float(known.raw[target.index]), DIGITS),
            },
        }
        if target.against is not None:
            fields["contrast"] = self._class(target.against)
        if item.choice is not None:
            fields["deadline"] = item.choice.members()
        fields["target_logit"] = round(float(found.target_logit[row]), DIGITS)
        if found.baseline_logit is not None:
            fields["baseline_logit"] = round(float(found.baseline_logit[row]), DIGITS)
        completeness = found.completeness(row)
        return fields | ({"completeness": completeness} if completeness else {})

    def _class(self, index: int) -> dict[str, Any]:
        return {"label": self.card.classes[index], "index": index}

    def _explained(self, fields: dict[str, Any], found: Attribution, row: int, item: Item, method: Method) -> Explained:
        heat = found.heat(row)
        if not torch.isfinite(heat).all():
            raise InferenceFailed(f"method {method.name} gave no number for this image")
        options, target, classes = item.options, item.target, self.card.classes
        if options.sign == "positive":
            heat = heat.clamp(min=0)
        caption = Caption(
            title=method.title,
            target=Class(target.index, classes[target.index]),
            against=None if target.against is None else Class(target.against, classes[target.against]),
            probability=float(item.known.probabilities[target.index]),
            version=f"{self.card.name} {self.card.version}",
            unit="logits per input pixel" if method.complete else "",
        )
        drawn = style(options, item.choice.side if item.choice else VIEW_SIDE)
        return Explained(fields, heat.cpu().numpy(), item.view, caption, drawn)


def style(options: Options, side: int) -> Style:
    """How the pictures of a request are drawn, at most so long."""
    asked_for: dict[str, Any] = {
        "sign": options.sign,
        "resolution": options.resolution,
        "alpha": options.alpha,
        "colormap": options.colormap,
    }
    return Style(side=side, **{name: value for name, value in asked_for.items() if value is not None})
