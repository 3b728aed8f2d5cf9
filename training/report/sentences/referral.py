"""Sentences about referral."""

from __future__ import annotations

from training.metrics.figures import Decisions, Figures
from training.metrics.referral import Referral
from training.report.words import counted, plural, portion, reach


def effect(figures: Figures) -> str:
    """Return whether referral by the card's policy helps on the test images. `figures.referral` must not be None."""
    referral = figures.referral
    assert referral is not None
    policy, images = referral.policy, figures.images
    if referral.help == "refers nothing":
        return f"The policy refers none of the {images:,} test images."
    refers = f"the policy refers {policy.referred.count:,} of {images:,} images ({portion(policy.referred)})"
    if policy.caught is None:
        return f"Whether referral helps cannot be shown: {refers}, but there is no mistake among all {images:,}."
    catches = f"{refers} and catches {policy.caught.count} of {plural(policy.caught.total, 'mistake')}"
    if referral.help == "cannot be shown":
        few = "These are too few mistakes to tell a policy that finds them from chance."
        return f"Whether referral helps cannot be shown: {catches}. {few}"
    at_random = policy.referred.value * policy.caught.total
    chance = f"As many images chosen at random would hold {at_random:.1f} of them on average"
    if referral.help == "does not help":
        return f"Referral by this policy does not help: {catches}. {chance}, so chance explains this."
    caught = f"{portion(policy.caught)}, 95 % interval {reach(policy.caught)}"
    accepted = f"{counted(policy.accuracy)} of the other images are right" if policy.accuracy else "No image is left"
    return (
        f"Referral helps: {catches} ({caught}). {chance} (p {_p(referral)}). {accepted}; of all images, "
        f"{counted(figures.right)}."
    )


def short(figures: Figures) -> str:
    """Return how the accuracy of accepted predictions lies to that of all, in a few words."""
    assert figures.referral is not None
    overall = f"{portion(figures.right)} of all images are right"
    if figures.referral.help == "helps":
        return overall
    if figures.referral.help == "does not help":
        return f"{overall}, so referral does not help"
    if figures.referral.help == "refers nothing":
        return "no test image is referred"
    return f"{overall}; whether referral helps cannot be shown"


def details(decisions: Decisions) -> str:
    """Return what is unlike the training images, such as " (colors: 3, content: 2)"; empty if nothing is."""
    counts = sorted(decisions.details.items(), key=lambda item: -item[1])
    return f" ({', '.join(f'{name}: {count}' for name, count in counts)})" if counts else ""


def area(referral: Referral) -> str:
    """Return the area under the risk-coverage curve beside those of a random and of the best order."""
    return (
        f"Area under the risk-coverage curve (AURC): {referral.aurc:.4f}. A random order has "
        f"{referral.aurc_random:.4f}, and one with all mistakes first {referral.aurc_best:.4f}. Lower is better."
    )


def _p(referral: Referral) -> str:
    assert referral.p_value is not None
    return "< 0.0001" if referral.p_value < 0.0001 else f"= {referral.p_value:.2g}"
