"""What a compiled program must keep of the float32 network to be let in: measured on the calibration split."""

from __future__ import annotations

import torch

from models.card import Compiled, Kept
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


def judged(
    entry: Compiled, network: Evaluation, program: Evaluation, milliseconds: float, milliseconds_float32: float
) -> Compiled:
    """The card's entry with what was measured and the verdict.

    Args:
        network: the answers of the eager float32 network to the calibration split.
        program: those of the program.
        milliseconds: an image takes of it, in a batch; and of the network, measured in turn.
    """
    if not torch.isfinite(program.logits).all():
        return entry.model_copy(update={"refused": NOT_FINITE})
    found = kept(network, program, milliseconds, milliseconds_float32)
    return entry.model_copy(update={"kept": found, "refused": refusal(found)})


def kept(network: Evaluation, program: Evaluation, milliseconds: float, milliseconds_float32: float) -> Kept:
    """Compare the answers of both to the same images; as of `judged`."""
    before, after = figures(network), figures(program)
    return Kept(
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


def refusal(found: Kept) -> str | None:
    """Why a program is kept out, in one sentence with value and limit; None: it is let in."""
    if (lost := loss(found)) is not None:
        return lost
    if found.milliseconds >= found.milliseconds_float32:
        took = f"{found.milliseconds:.3g} ms an image against {found.milliseconds_float32:.3g} of the eager network"
        return f"it is no faster: {took}"
    return None


def loss(found: Kept) -> str | None:
    """What a program loses of the network beyond what is allowed, in one sentence; None: nothing.

    The first of: accuracy, agreement, calibration, coverage.
    """
    lost = _rounded(found.accuracy_float32 - found.accuracy)
    if lost > ACCURACY:
        return f"its accuracy is {100 * lost:.2f} points below float32's, and {100 * ACCURACY:g} are allowed"
    if found.agreement < AGREEMENT:
        return f"it agrees with float32 on {found.agreement:.2%} of the images, and {AGREEMENT:.0%} are needed"
    worse = _rounded(found.calibration_error - found.calibration_error_float32)
    if worse > CALIBRATION:
        return f"its calibration error is {worse:.4f} above float32's, and {CALIBRATION:g} is allowed"
    if found.coverage is not None and found.coverage_float32 is not None:
        lost = _rounded(found.coverage_float32 - found.coverage)
        if lost > COVERAGE:
            return (
                f"its sets hold the right class {100 * lost:.2f} points less often than float32's, and "
                f"{100 * COVERAGE:g} is allowed"
            )
    return None


def _coverage(found: Figures) -> float | None:
    return _rounded(found.sets.coverage.value) if found.sets else None


def _rounded(share: float) -> float:
    """Without the dust of float64, so that what is at a limit is not beyond it."""
    return round(share, DIGITS)
