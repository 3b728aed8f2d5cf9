"""The gate for compiled engines: limits on the difference to the float32 network, on the calibration split."""

from __future__ import annotations

import torch

from models.card import Compiled, EngineQuality
from training.evaluate import Evaluation
from training.metrics.calibration import bins
from training.metrics.prediction_sets import prediction_sets

# Largest allowed decrease of accuracy and of coverage.
ACCURACY = 0.005
COVERAGE = 0.01
# Smallest allowed agreement of the top-1 classes.
AGREEMENT = 0.99
# Largest allowed increase of the expected calibration error.
CALIBRATION = 0.01
DIGITS = 6


NOT_FINITE = "it returns NaN or infinity for some images of the calibration split"


def evaluated(
    entry: Compiled, network: Evaluation, program: Evaluation, milliseconds: float, milliseconds_float32: float
) -> Compiled:
    """Return the card's entry with the measured quality and the rejection.

    Args:
        network: predictions of the eager float32 network for the calibration split.
        program: predictions of the compiled engine.
        milliseconds: per image of a batch, of the compiled engine; measured in interleaved rounds with the network.
    """
    if not torch.isfinite(program.logits).all():
        return entry.model_copy(update={"rejection": NOT_FINITE})
    quality = measure_quality(network, program, milliseconds, milliseconds_float32)
    return entry.model_copy(update={"quality": quality, "rejection": rejection(quality)})


def measure_quality(
    network: Evaluation, program: Evaluation, milliseconds: float, milliseconds_float32: float
) -> EngineQuality:
    """Compare the predictions of both for the same images; arguments as in `evaluated`."""
    return EngineQuality(
        images=len(network),
        accuracy=_rounded(program.accuracy),
        accuracy_float32=_rounded(network.accuracy),
        agreement=_rounded(agreement(network, program)),
        calibration_error=_calibration_error(program),
        calibration_error_float32=_calibration_error(network),
        coverage=_coverage(program),
        coverage_float32=_coverage(network),
        milliseconds=float(f"{milliseconds:.4g}"),
        milliseconds_float32=float(f"{milliseconds_float32:.4g}"),
    )


def agreement(network: Evaluation, program: Evaluation) -> float:
    """Return the share of images with the same top-1 class."""
    return float((network.answered == program.answered).double().mean())


def rejection(quality: EngineQuality) -> str | None:
    """Return why an engine is rejected, in one sentence with value and limit; None if it passes."""
    if (lost := degradation(quality)) is not None:
        return lost
    if quality.milliseconds >= quality.milliseconds_float32:
        took = f"{quality.milliseconds:.3g} ms an image against {quality.milliseconds_float32:.3g} of the eager network"
        return f"it is no faster: {took}"
    return None


def degradation(quality: EngineQuality) -> str | None:
    """Return the first limit of quality that an engine exceeds, in one sentence; None if it exceeds none.

    The order is accuracy, agreement, calibration, coverage.
    """
    lost = _rounded(quality.accuracy_float32 - quality.accuracy)
    if lost > ACCURACY:
        return f"its accuracy is {100 * lost:.2f} points below float32's, and {100 * ACCURACY:g} are allowed"
    if quality.agreement < AGREEMENT:
        return f"it agrees with float32 on {quality.agreement:.2%} of the images, and {AGREEMENT:.0%} are needed"
    worse = _rounded(quality.calibration_error - quality.calibration_error_float32)
    if worse > CALIBRATION:
        return f"its calibration error is {worse:.4f} above float32's, and {CALIBRATION:g} is allowed"
    if quality.coverage is not None and quality.coverage_float32 is not None:
        lost = _rounded(quality.coverage_float32 - quality.coverage)
        if lost > COVERAGE:
            return (
                f"its sets hold the right class {100 * lost:.2f} points less often than float32's, and "
                f"{100 * COVERAGE:g} is allowed"
            )
    return None


def _calibration_error(predictions: Evaluation) -> float:
    return _rounded(bins(predictions.probabilities, predictions.labels).error)


def _coverage(predictions: Evaluation) -> float | None:
    sets = prediction_sets(predictions)
    return _rounded(sets.coverage.value) if sets else None


def _rounded(share: float) -> float:
    """Round a share, so that float64 errors do not push a value at a limit beyond it."""
    return round(share, DIGITS)
