"""Check the simulation of rollouts, and its tables with few runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.rollout_statistics import __main__ as command
from benchmarks.rollout_statistics import simulation
from serving.rollout import analysis


def test_simulated_requests_follow_the_share_and_the_rates() -> None:
    bad = simulation.bad_events(np.random.default_rng(0), 200, 500, 0.2, 0.02, 0.05)
    candidate, stable, requests = bad.candidate[:, -1].sum(), bad.stable[:, -1].sum(), bad.candidate_requests[:, -1]
    assert candidate / requests.sum() == pytest.approx(0.05, rel=0.05)
    assert candidate / stable == pytest.approx(0.2 * 0.05 / (0.8 * 0.02), rel=0.05)


def test_each_pair_of_counts_is_computed_once_with_the_same_values() -> None:
    bad = np.array([[0, 1, 1], [1, 1, 2]])
    good = np.array([[1, 1, 2], [0, 1, 1]])
    sizes = []

    def log_e(bad: simulation.Counts, good: simulation.Counts, limit: float) -> simulation.Floats:
        sizes.append(bad.size)
        return analysis.log_e_above(bad, good, limit)

    values = simulation.each_pair_once(log_e, bad, good, 0.3)
    np.testing.assert_allclose(values, analysis.log_e_above(bad, good, 0.3))
    assert sizes == [5]


def test_a_run_that_never_decides_takes_forever() -> None:
    log_e = np.array([[0.0, 5.0, 0.0], [0.0, 1.0, 2.0]])
    requests = np.array([[10, 20, 30], [11, 21, 31]])
    np.testing.assert_array_equal(simulation.requests_until(log_e, 0.01, requests), [20, np.inf])


@pytest.mark.parametrize(("rates", "requests"), [((0.001, 0.01), 682), ((0.01, 0.02), 1_938), ((0.1, 0.12), 3_469)])
def test_a_test_with_one_look_needs_the_requests_of_the_textbook(rates: tuple[float, float], requests: int) -> None:
    assert command.fixed_horizon(rates, 0.01) == pytest.approx(requests, abs=1)


@pytest.mark.slow
def test_the_tables_are_written_to_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    command.main(["--runs", "4", "--page", str(page)])
    text = page.read_text(encoding="utf-8")
    assert sum(line.startswith("| ---") for line in text.splitlines()) == 7
    assert "0.1% and 1.0% | 682 |" in text
