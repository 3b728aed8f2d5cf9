"""What a compiled program must keep of the float32 network to be let in: measured on the calibration split."""

from __future__ import annotations

import torch

from models.card import Compiled, EngineQuality
from training.evaluate import Evaluation
from training.report.figures import Figures, figures

# How far the share of right answers may fall, and that of sets that hold the right class.
ACCURACY = 0.005
COVERAGE = 0.01
# How often both must name the same class, at least.
AGREEMENT = 0.99
# How much the expected calibration error may grow.
CALIBRATION = 0.01
DIGITS = 6


NOT_FINITE = "it answers some images of the calibration split with what is no number"


def evaluated(
    entry: Compiled, network: Evaluation, program: Evaluation, milliseconds: float, milliseconds_float32: float
) -> Compiled:
    """The card's entry with what was measured and the verdict.

    Args:
        network: the answers of the eager float32 network to the calibration split.
        program: those of the program.
        milliseconds: an image takes of it, in a batch; and of the network, measured in turn.
    """
    if not torch.isfinite(program.logits).all():
        return entry.model_copy(update={"rejection": NOT_FINITE})
    quality = measure_quality(network, program, milliseconds, milliseconds_float32)
    return entry.model_copy(update={"quality": quality, "rejection": rejection(quality)})


def measure_quality(
    network: Evaluation, program: Evaluation, milliseconds: float, milliseconds_float32: float
) -> EngineQuality:
    """Compare the answers of both to the same images; as for `evaluated`."""
    before, after = figures(network), figures(program)
    return EngineQuality(
        images=len(network),
        accuracy=_rounded(after.accuracy),
        accuracy_float32=_rounded(before.accuracy),
        agreement=_rounded(agreement(network, program)),
        calibration_error=_rounded(after.after.ece),
        calibration_error_float32=_rounded(before.after.ece),
        coverage=_coverage(after),
        coverage_float32=_coverage(before),
        milliseconds=float(f"{milliseconds:.4g}"),
        milliseconds_float32=float(f"{milliseconds_float32:.4g}"),
    )


def agreement(network: Evaluation, program: Evaluation) -> float:
    """How often both name the same class first."""
    return float((network.answered == program.answered).double().mean())


def rejection(quality: EngineQuality) -> str | None:
    """Why a program is kept out, in one sentence with value and limit; None: it is let in."""
    if (lost := degradation(quality)) is not None:
        return lost
    if quality.milliseconds >= quality.milliseconds_float32:
        took = f"{quality.milliseconds:.3g} ms an image against {quality.milliseconds_float32:.3g} of the eager network"
        return f"it is no faster: {took}"
    return None


def degradation(quality: EngineQuality) -> str | None:
    """What a program loses of the network beyond what is allowed, in one sentence; None: nothing.

    The first of: accuracy, agreement, calibration, coverage.
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


def _coverage(measured: Figures) -> float | None:
    return _rounded(measured.prediction_sets.coverage.value) if measured.prediction_sets else None


def _rounded(share: float) -> float:
    """Without the dust of float64, so that what is at a limit is not beyond it."""
    return round(share, DIGITS)
