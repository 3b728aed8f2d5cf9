"""Which engine answers: the first of the card's that is right on this machine, or the eager network."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from handlers import golden_answers
from handlers.engines import EAGER, EngineError
from handlers.pipeline import Classifier
from models.card import Card
from models.golden import GoldenError

logger = logging.getLogger(__name__)

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """A classifier whose golden answers came out.

    Attributes:
        passed_over: the engines that were to be tried before its own, and why they do not answer.
    """

    classifier: Classifier
    passed_over: Mapping[str, str]


def load(folder: Path, device: torch.device, wanted: str = AUTO, **settings: Any) -> Choice:
    """Load a release folder or an unpacked .mar with the fastest engine that is right on this machine.

    Args:
        wanted: `auto`, or the only engine to try: `eager`, or the name of one of the card's.
        settings: as of Classifier.load.

    Raises:
        CardError, EngineError, UncertaintyError, GoldenError: a file is missing or damaged, or what has to answer, the
            eager network or the engine that is wanted, does not give its golden answers here.
    """
    passed_over: dict[str, str] = {}
    if wanted == AUTO:
        for entry in Card.load(folder).engines:
            if entry.rejection is not None or entry.device != device.type:
                continue
            try:
                return Choice(_proved(folder, device, entry.name, settings), passed_over)
            except (EngineError, GoldenError, RuntimeError) as error:
                passed_over[entry.name] = " ".join(str(error).split())[:300]
                logger.warning("engine %s does not answer here: it %s", entry.name, passed_over[entry.name])
    return Choice(_proved(folder, device, EAGER if wanted == AUTO else wanted, settings), passed_over)


def _proved(folder: Path, device: torch.device, engine: str, settings: Mapping[str, Any]) -> Classifier:
    classifier = Classifier.load(folder, device, engine=engine, **settings)
    golden_answers.check(folder, classifier)
    logger.info("engine %s answers, on %s", engine, device)
    return classifier
