"""A loaded model: its card, its engine, and the estimator of its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from handlers import uncertainty
from handlers.engines import EAGER, Engine, EngineError, Outputs, named
from handlers.engines.eager import Eager
from handlers.modalities.image import images
from handlers.modalities.image.images import ImageInput
from handlers.uncertainty import UncertaintyEstimator
from handlers.uncertainty.observation import observe
from models.card import Card, Limits, Policy


class Classifier:
    """A model in this process: outputs, logits and probabilities of images, for evaluation and golden answers.

    handlers/pipeline.py answers requests with it.

    Args:
        limits: of a request; None takes those of the card.
        estimator: may be left out if the card has no `uncertainty`, or one that needs no tensors.
        folder: of the release. It may be left out if the engine is the eager one and no training images are shown.
    """

    def __init__(
        self,
        card: Card,
        engine: Engine,
        limits: Limits | None = None,
        *,
        estimator: UncertaintyEstimator | None = None,
        folder: Path | None = None,
    ) -> None:
        self.card = card
        self.engine = engine
        self.estimator = estimator or (UncertaintyEstimator(card.uncertainty) if card.uncertainty else None)
        self.limits = limits or card.limits
        self.folder = folder

    @classmethod
    def load(
        cls,
        folder: Path,
        device: torch.device | None = None,
        *,
        engine: str = EAGER,
        limits: Limits | None = None,
        policy: Policy | None = None,
    ) -> Classifier:
        """Load a release folder or an unpacked .mar; `limits` and `policy` replace those of the card.

        Args:
            engine: `eager`, or a compiled engine of the card; handlers.engines.selection chooses the fastest.

        Raises:
            CardError, EngineError, UncertaintyError: a file is missing, damaged, or does not fit the others.
        """
        card = Card.load(folder)
        loaded = named.load(folder, card, engine, device or torch.device("cpu"))
        estimator = UncertaintyEstimator.load(folder, card, loaded)
        estimator = estimator.under(policy) if estimator and policy else estimator
        return cls(card, loaded, limits, estimator=estimator, folder=folder)

    @cached_property
    def eager_network(self) -> Eager:
        """The eager float32 network, which explanations need; loaded on first use.

        Raises:
            EngineError: the engine is compiled, and there is no folder to load the network from.
        """
        if isinstance(self.engine, Eager):
            return self.engine
        if self.folder is None:
            raise EngineError(f"engine {self.engine.name!r} was given without a folder to load the eager network from")
        return Eager.load(self.folder, self.card, self.engine.device)

    def outputs(self, sources: Sequence[ImageInput]) -> Outputs:
        """Return the outputs and pixel statistics of encoded images or arrays.

        Raises:
            RequestError: an image cannot be decoded.
        """
        spec = self.card.input
        pixels = [images.pixels(images.picture(source, spec), spec) for source in sources]
        return observe(self.engine, images.stack(pixels))

    def logits(self, sources: Sequence[ImageInput]) -> torch.Tensor:
        """Return the logits (N, classes) of `outputs`, with the same exceptions."""
        return self.outputs(sources).logits

    def probabilities(self, sources: Sequence[ImageInput]) -> torch.Tensor:
        """Return calibrated probabilities (N, classes), in the order of the card, with the exceptions of `outputs`."""
        return uncertainty.probabilities(self.logits(sources), self.temperature)

    @property
    def temperature(self) -> float:
        """The divisor of logits; 1 if the card has no `uncertainty`."""
        return self.estimator.uncertainty.temperature if self.estimator else 1.0

    def warm_up(self, batch_size: int) -> None:
        """Run blank batches of 1, 2, 4 and so on up to `batch_size` images, so that no request is first of its size."""
        size, rows = self.card.input.size, 1
        while rows <= min(batch_size, self.engine.max_rows):
            self.engine.outputs(torch.zeros(rows, 3, size, size, dtype=torch.uint8))
            rows *= 2
