"""Simulate how often the checks of a rollout err and how soon they decide. Write it to docs/explanation/rollouts.md.

It needs no server. With the defaults it takes some minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks import report
from benchmarks.rollout_statistics import simulation
from scripts.command import command
from serving.rollout.analysis import PASS_ALPHA, PRIOR_STRENGTH
from serving.rollout.checks.canary_rate import CHECKS
from serving.rollout.plan import Canary, Shadow

PAGE = Path("docs/explanation/rollouts.md")
RUNS = 1_000
SHARE = 0.1
# Rates of bad responses: of the stable version, and of a worse candidate.
WORSE = ((0.001, 0.01), (0.01, 0.02), (0.02, 0.04), (0.10, 0.12))
STRENGTHS = (1, 2, 5, 10, 20, 50, 100)
# Bad responses in each stage of a simulated canary, by check: those of 20,000 requests with 0.1 %, 5 % and 5 %.
EVENTS = {"errors": 20, "latency": 1_000, "referral rate": 1_000}
PLAN, SHADOW = Canary(), Shadow()


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, simulate, write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout_statistics", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"simulated runs of each row (default: {RUNS:,})")
    parser.add_argument("--page", type=Path, default=PAGE, help=f"page to write the tables into (default: {PAGE})")
    arguments = parser.parse_args(argv)
    if arguments.runs < 1:
        raise ValueError(f"--runs is {arguments.runs}; it must be at least 1")
    text = "\n\n".join(_sections(arguments.runs))
    head = f"By `python -m benchmarks.rollout_statistics --runs {arguments.runs}`, with a look after every response."
    report.put(arguments.page, "rollouts", f"{head}\n\n{text}")
    print(text)


def fixed_horizon(rates: tuple[float, float], alpha: float) -> int:
    """Return the candidate's requests that a test with one look needs for a power of 90 %: two proportions, one-sided.

    Source: Fleiss, Levin and Paik 2003, "Statistical Methods for Rates and Proportions", chapter 4.
    """
    stable, candidate = rates
    control = (1 - SHARE) / SHARE  # requests of the stable version for each of the candidate
    pooled = SHARE * candidate + (1 - SHARE) * stable
    null = norm.isf(alpha) * np.sqrt(pooled * (1 - pooled) * (1 + 1 / control))
    alternative = norm.isf(0.1) * np.sqrt(candidate * (1 - candidate) + stable * (1 - stable) / control)
    return int(np.ceil(((null + alternative) / (candidate - stable)) ** 2))


def _sections(runs: int) -> Iterator[str]:
    """Simulate, and yield the paragraphs and tables of the page."""
    rng = np.random.default_rng(0)
    many = 10 * runs
    yield f"**False rollbacks.** Both versions are equal, all {CHECKS} canary checks, alpha {PLAN.alpha:.0%} in all:"
    false = simulation.false_rollbacks(rng, runs, PLAN.shares, EVENTS, PLAN.alpha)
    shares = ", ".join(f"{share:.0%}" for share in PLAN.shares)
    looks = sum(EVENTS.values()) * len(PLAN.shares)
    yield report.table(
        ["shares", "bad responses", "runs", "rolled back"], [[shares, f"{looks:,}", f"{runs:,}", f"{false:.1%}"]]
    )
    yield f"**Worse candidates.** The candidate's requests until it fails, median, at a share of {SHARE:.0%}:"
    yield _worse(rng, runs)
    yield f"**Strength of the prior**: largest ratio of the median to the test with one look, at {PLAN.alpha:.0%}:"
    yield _strengths(rng, runs)
    yield (
        f"**Not inferior** with margin {PLAN.margin:g}. The candidate's requests until an equal candidate passes, "
        f"median, and how often one passes at any time whose rate is {PLAN.margin:g} times the stable version's:"
    )
    yield _not_inferior(rng, runs)
    worse = simulation.growing_shares(rng, many, PLAN.shares, 300, PLAN.margin, PLAN.margin)
    passing = float((worse >= -np.log(PASS_ALPHA)).any(axis=1).mean())
    yield (
        f"Over stages of {shares} with 300 bad responses each, such a candidate passes in {passing:.1%} of {many:,} "
        "runs."
    )
    yield f"**Tolerated** rate {PLAN.tolerated:.1%}. The candidate's requests until it passes:"
    yield _below(rng, runs, PLAN.tolerated, (0, 0.001, 0.0025, PLAN.tolerated), 20_000, "rate of errors")
    yield f"**Shadow answers**, at most {SHADOW.max_differences:.0%} may differ. Images until the check decides:"
    yield _shadow(rng, runs)
    yield f"**Shadow reasons.** Pairs of maps until the check decides, with at least {SHADOW.explained} for a pass:"
    yield _reasons(rng, runs)


def _worse(rng: np.random.Generator, runs: int) -> str:
    rows = []
    for rates in WORSE:
        at_alpha, at_third = (_median_fail(rng, runs, rates, alpha) for alpha in (PLAN.alpha, PLAN.alpha / CHECKS))
        horizon = fixed_horizon(rates, PLAN.alpha)
        rows.append([f"{rates[0]:.1%} and {rates[1]:.1%}", f"{horizon:,}", f"{at_alpha:,.0f}", f"{at_third:,.0f}"])
    header = [
        "rates, stable and candidate",
        f"one look at the end, {PLAN.alpha:.0%}, power 90 %",
        f"any time, {PLAN.alpha:.0%}",
        f"any time, a third of {PLAN.alpha:.0%} (as in a rollout)",
    ]
    return report.table(header, rows)


def _median_fail(
    rng: np.random.Generator, runs: int, rates: tuple[float, float], alpha: float, strength: float = PRIOR_STRENGTH
) -> float:
    events = int(2.5 * fixed_horizon(rates, alpha) / SHARE * (SHARE * rates[1] + (1 - SHARE) * rates[0]))
    return float(np.median(simulation.requests_until_fail(rng, runs, events, SHARE, rates, alpha, strength)))


def _strengths(rng: np.random.Generator, runs: int) -> str:
    ratios = []
    seed = int(rng.integers(2**32))  # the same runs for each strength
    for strength in STRENGTHS:
        medians = [_median_fail(np.random.default_rng(seed), runs, rates, PLAN.alpha, strength) for rates in WORSE]
        ratios.append(
            max(median / fixed_horizon(rates, PLAN.alpha) for median, rates in zip(medians, WORSE, strict=True))
        )
    return report.table(["strength", *map(str, STRENGTHS)], [["ratio", *(f"{ratio:.2f}" for ratio in ratios)]])


def _not_inferior(rng: np.random.Generator, runs: int) -> str:
    rows = []
    for share in (0.1, 0.25, 0.5):
        medians = []
        for rate in (0.01, 0.05, 0.1):
            equal = simulation.requests_until_not_inferior(rng, runs, 2_500, share, (rate, rate), PLAN.margin)
            medians.append(f"{np.median(equal):,.0f}")
        rates = (0.05, 0.05 * PLAN.margin)
        worse = simulation.requests_until_not_inferior(rng, runs, 2_500, share, rates, PLAN.margin)
        rows.append([f"{share:.0%}", *medians, f"{np.isfinite(worse).mean():.1%}"])
    return report.table(["share", "rate 1 %", "rate 5 %", "rate 10 %", "worse by the margin: passes"], rows)


def _below(rng: np.random.Generator, runs: int, limit: float, rates: tuple[float, ...], trials: int, name: str) -> str:
    rows = []
    for rate in rates:
        requests = simulation.trials_until_below(rng, runs, trials, rate, limit)
        median = float(np.median(requests))
        rows.append(
            [f"{rate:.2%}", f"{median:,.0f}" if np.isfinite(median) else "-", f"{np.isfinite(requests).mean():.1%}"]
        )
    return report.table([name, "requests, median", f"passes within {trials:,}"], rows)


def _shadow(rng: np.random.Generator, runs: int) -> str:
    rows = []
    for rate in (0.0, 0.005, 0.01, SHADOW.max_differences, 0.06, 0.1):
        rows.append([f"{rate:.1%}", *_decisions(rng, runs, 4_000, rate, SHADOW.max_differences)])
    return report.table(["answers that differ", "passes", "images, median", "fails", "images, median"], rows)


def _reasons(rng: np.random.Generator, runs: int) -> str:
    rows = []
    for rate in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9):
        rows.append([f"{rate:.0%}", *_decisions(rng, runs, 500, rate, 0.5)])
    return report.table(["correlations below the limit", "passes", "maps, median", "fails", "maps, median"], rows)


def _decisions(rng: np.random.Generator, runs: int, trials: int, rate: float, limit: float) -> list[str]:
    """Return how often a check passes and fails within these trials, each with the median of the trials."""
    cells = []
    for until in (simulation.trials_until_below, simulation.trials_until_above):
        decided = until(rng, runs, trials, rate, limit)
        ended = decided[np.isfinite(decided)]
        cells += [f"{len(ended) / runs:.1%}", f"{np.median(ended):,.0f}" if len(ended) else "-"]
    return cells


if __name__ == "__main__":
    main()
