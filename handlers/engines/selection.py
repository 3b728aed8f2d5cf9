"""Selection of the engine that answers: the first of the card's that is right on this machine, or the eager network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from handlers.engines import EAGER, EngineError
from models.card import Card
from models.golden import GoldenError

logger = logging.getLogger(__name__)

AUTO = "auto"

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class LoadedModel(Generic[Model]):
    """A model whose golden answers are right on this machine.

    Attributes:
        passed_over: the engines that were tried before its own, and why they do not answer.
    """

    model: Model
    passed_over: Mapping[str, str]


def load(
    card: Card, device: torch.device, load_engine: Callable[[str], Model], engine: str = AUTO
) -> LoadedModel[Model]:
    """Load a model with the fastest engine that is right on this machine.

    Args:
        load_engine: loads the model with the engine of this name, and checks its golden answers.
        engine: `auto`, or the only engine to try: `eager`, or the name of one of the card's.

    Raises:
        CardError, EngineError, UncertaintyError, GoldenError: a file is missing or damaged; or `engine`, or with `auto`
            the eager network, does not give its golden answers here.
    """
    passed_over: dict[str, str] = {}
    if engine == AUTO:
        for entry in card.engines:
            if entry.rejection is not None or entry.device != device.type:
                continue
            try:
                model = load_engine(entry.name)
            except (EngineError, GoldenError, RuntimeError) as error:
                passed_over[entry.name] = " ".join(str(error).split())[:300]
                logger.warning("engine %s does not answer here: it %s", entry.name, passed_over[entry.name])
            else:
                return _loaded(model, entry.name, device, passed_over)
    name = EAGER if engine == AUTO else engine
    return _loaded(load_engine(name), name, device, passed_over)


def _loaded(model: Model, engine: str, device: torch.device, passed_over: Mapping[str, str]) -> LoadedModel[Model]:
    logger.info("engine %s answers, on %s", engine, device)
    return LoadedModel(model, passed_over)
