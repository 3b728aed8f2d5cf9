"""Sentences about the calibration of probabilities."""

from __future__ import annotations

from models.card import Calibration, UncertaintyCard
from training.metrics.calibration import Quality
from training.metrics.figures import Figures
from training.report.words import plural
from training.uncertainty.temperature import MIN_MISTAKES


def evidence(rule: UncertaintyCard) -> str:
    """Return the evidence for the card's temperature, from its calibration split."""
    fit = rule.calibration
    if fit is None:
        return f"The temperature is {rule.temperature:.3g}. The card does not say on what evidence."
    if rule.temperature == 1:
        return f"The temperature is 1, so calibration changes nothing. {_verdict(fit)}."
    gain = fit.nll_raw - fit.nll_cross_fitted
    change = "lowers" if gain > 0 else "raises" if gain < 0 else "does not change"
    by = f" by {abs(gain):.4f} nats, from {fit.nll_raw:.4f} to {fit.nll_cross_fitted:.4f}" if gain else ""
    return (
        f"The temperature is {rule.temperature:.3g}. {_verdict(fit)}. On calibration images that it was not fitted on, "
        f"a temperature {change} the negative log-likelihood{by} (standard error {fit.gain_error:.4f})."
    )


def _verdict(fit: Calibration) -> str:
    return f"{fit.verdict.capitalize()}: {_reason(fit)}"


def _reason(fit: Calibration) -> str:
    mistakes = f"{plural(fit.mistakes, 'mistake')} among {fit.images:,} calibration images"
    if fit.verdict == "proven":
        return f"{mistakes}, and the gain is at least its standard error"
    if fit.mistakes < MIN_MISTAKES:
        return f"{'only ' if fit.mistakes else ''}{mistakes}, and {MIN_MISTAKES} are needed to tell"
    return f"{mistakes}, but the gain is below its standard error"


def check(measured: Quality, images: int) -> str:
    """Return what the expected calibration error of the test images shows."""
    error = f"{measured.ece:.4f} (95 % interval {measured.ece_low:.4f} to {measured.ece_high:.4f})"
    calibrated = (
        f"With {images:,} images like these, a perfectly calibrated model would show {measured.ece_calibrated:.4f} on "
        f"average, and at most {measured.ece_calibrated_high:.4f} in 95 of 100 test sets."
    )
    if measured.is_off:
        verdict = "So chance does not explain the error: the probabilities are off."
    else:
        verdict = "So the error is within chance: it neither shows nor excludes that the probabilities are off."
    return f"The calibration error on the test images is {error}. {calibrated} {verdict}"


def worse(figures: Figures) -> str | None:
    """Return a sentence if the probabilities are worse with the temperature than without; None if they are not."""
    change, before, after = figures.change, figures.before, figures.after
    if change is None:
        return None
    values = []
    if after.ece > before.ece:
        overlap = "their 95 % intervals overlap" if after.ece_low <= before.ece_high else "more than chance explains"
        values.append(f"the calibration error is {after.ece:.4f} after and {before.ece:.4f} before ({overlap})")
    if after.nll > before.nll:
        chance = "more than chance explains" if change.low > 0 else "which chance may explain"
        values.append(
            f"the negative log-likelihood is {after.nll:.4f} after and {before.nll:.4f} before "
            f"({change.nll:+.4f}, 95 % interval {change.low:+.4f} to {change.high:+.4f}: {chance})"
        )
    return f"Worse after calibration than before on the test images: {'; '.join(values)}." if values else None
