"""referral.png: the risk-coverage curve, as accuracy of the images that are not referred."""

from __future__ import annotations

from pathlib import Path

from training.metrics.figures import Figures
from training.metrics.referral import Referral
from training.report.style import BLUE, GRAY, INK, PALE, picture

# Smallest share of referred images, in percent, at which the picture ends: further right, few images are left.
MIN_END = 30


def draw(path: Path, figures: Figures, referral: Referral) -> None:
    """Draw the accuracy of the other images by the share of referred ones, with the policy's point."""
    policy, mistakes = referral.policy, referral.aurc_random
    end = min(100.0, max(MIN_END, 100 * policy.referred.value + 5))
    shares = [100 * share for share in referral.curve_referred if 100 * share <= end]
    accuracy = [100 * value for value in referral.curve_accuracy[: len(shares)]]
    best = [100 * (1 - max(0.0, mistakes - share / 100) / (1 - share / 100)) for share in shares]
    with picture(path, 8, 3.8) as figure:
        axes = figure.subplots()
        axes.plot(shares, best, color=PALE, linewidth=1.3, drawstyle="steps-post", label="all mistakes first")
        axes.plot(shares, accuracy, color=BLUE, drawstyle="steps-post", label="this model")
        at_random = 100 * figures.right.value
        axes.axhline(at_random, color=GRAY, linestyle="--", linewidth=1.3, label="referral at random")
        low, high = min(at_random, *accuracy), max(at_random, *best)
        if policy.accuracy is not None:
            x, y = 100 * policy.referred.value, 100 * policy.accuracy.value
            axes.plot([x, x], [100 * policy.accuracy.low, 100 * policy.accuracy.high], color=INK, linewidth=1.2)
            label = f"the card's policy: {y:.1f} % at {x:.1f} % referred"
            axes.plot([x], [y], "o", color=INK, markersize=7, label=label)
            low, high = min(low, 100 * policy.accuracy.low), max(high, 100 * policy.accuracy.high)
        margin = 0.08 * (high - low) + 0.1
        axes.set(
            xlabel="images referred to a person (%)",
            ylabel="accuracy of the other images (%)",
            xlim=(-1, end),
            ylim=(low - margin, high + margin / 2),
        )
        axes.legend(loc="best", fontsize=8)
