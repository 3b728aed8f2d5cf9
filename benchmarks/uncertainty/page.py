"""The tables of the section "Measured" in docs/explanation/uncertainty.md."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from benchmarks.report import table
from benchmarks.uncertainty.decisions import RATES, DetectionResult, ReferralResult
from benchmarks.uncertainty.probabilities import CalibrationResult, SetResult
from training.metrics.interval import Share


def calibration_table(results: Sequence[CalibrationResult]) -> str:
    """Return the table of calibration."""
    columns = ["data", "calibration images", "NLL, raw and fitted", "splits with a higher NLL", "ECE, raw and fitted"]
    rows = [
        [
            result.data,
            f"{result.images:,}",
            " to ".join(f"{mean(values):.4f}" for values in zip(*result.nll, strict=True)),
            f"{mean(result.worse):.0%}{_range(result.worse)}",
            f"{result.ece[0]:.4f} to {result.ece[1]:.4f}",
        ]
        for result in results
    ]
    return table(columns, rows)


def sets_table(results: Sequence[SetResult]) -> str:
    """Return the table of prediction sets."""
    columns = ["data", "calibration images", "splits without sets", "coverage, aimed at and measured"]
    more = ["splits within the 95 % interval", "mean size", "more than one class", "mistakes with the right class"]
    rows = []
    for result in results:
        row = [result.data, f"{result.images:,}", f"{1 - len(result.coverage) / result.splits:.0%}"]
        if result.coverage:
            mistakes, covered = result.mistakes
            row += [
                " and ".join(f"{mean(values):.3f}" for values in zip(*result.coverage, strict=True)),
                f"{mean(result.is_within):.0%} of {len(result.is_within)}",
                f"{mean(result.sizes):.2f}",
                f"{mean(result.several):.0%}",
                f"{covered / mistakes:.0%}" if mistakes else "",
            ]
        rows.append(row + [""] * (len(columns) + len(more) - len(row)))
    return table([*columns, *more], rows)


def referral_table(results: Sequence[ReferralResult]) -> str:
    """Return the table of referral."""
    columns = ["data", "calibration images", "wrong", "referred", "mistakes that are referred"]
    rows = [
        [
            result.data,
            f"{result.images:,}",
            f"{result.mistakes / result.predictions:.1%}",
            f"{result.referred / result.predictions:.1%}",
            f"{result.caught / result.mistakes:.0%}{_range(result.by_network)}" if result.mistakes else "",
        ]
        for result in results
    ]
    return table(columns, rows)


def detection_table(results: Sequence[DetectionResult]) -> str:
    """Return the table of out-of-distribution detection: a row for each set, a column for each data set."""
    rates = " / ".join(f"{rate:.0%}" for rate in RATES)
    columns = [f"detected at {rates}", *(result.data for result in results)]
    rows = [
        ["false alarms", *(_alarms(result) for result in results)],
        ["score that was chosen", *(", ".join(result.scores) for result in results)],
    ]
    titles = dict.fromkeys(title for result in results for title in result.right)
    for title in titles:
        row = [title]
        for result in results:
            if title not in result.right:
                row.append("")
                continue
            right = result.right[title]
            detected = _detected([result.detected[title, rate] for rate in RATES])
            row.append(detected + (f"; {right.value:.0%} right" if right is not None else ""))
        rows.append(row)
    return table(columns, rows)


def _alarms(result: DetectionResult) -> str:
    return " / ".join(f"{result.false_alarms[rate].value:.1%}" for rate in RATES)


def _detected(shares: Sequence[Share]) -> str:
    first = shares[0]
    values = " / ".join(f"{share.value:.1%}" if share.value < 0.1 else f"{share.value:.0%}" for share in shares)
    return f"{values} of {first.total:,}"


def _range(values: Sequence[float]) -> str:
    return f" ({min(values):.0%} to {max(values):.0%})" if len(values) > 1 else ""
