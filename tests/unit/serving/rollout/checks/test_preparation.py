"""Check the verdicts before a candidate gets any traffic: archive and resources, golden answers, golden latency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from serving.artifacts.store import Archive
from serving.rollout.checks import golden, integrity, latency
from serving.rollout.plan import WarmUp
from serving.rollout.resources import Resources
from serving.rollout.verdict import Outcome

ARCHIVE = Archive(Path("model_store/digits-2.0.mar"), "digits", "2.0", sha256="ab" * 32, listed=True)
ENOUGH = Resources(400_000_000, 500_000_000, 30_000_000, 90_000_000, Path("/tmp/torchlight"))
WARM_UP = WarmUp(max_latency_ratio=1.5)


def test_a_checked_archive_with_resources_passes() -> None:
    verdict = integrity.judge(ARCHIVE, ENOUGH, loaded=False)
    assert verdict.outcome is Outcome.PASS
    assert "SHA-256 abababababab…" in verdict.message
    assert verdict.evidence["needed_memory"] == 400_000_000


def test_too_little_memory_for_both_versions_fails_with_both_figures() -> None:
    verdict = integrity.judge(ARCHIVE, replace(ENOUGH, free_memory=350_000_000), loaded=False)
    assert verdict.outcome is Outcome.FAIL
    assert "needs about 400 MB of memory beside the stable version, and 350 MB are free" in verdict.message


def test_too_little_disk_fails_and_names_the_folder() -> None:
    verdict = integrity.judge(ARCHIVE, replace(ENOUGH, free_disk=20_000_000), loaded=False)
    assert verdict.outcome is Outcome.FAIL
    assert "unpacks to 30 MB, and /tmp/torchlight has 20 MB free" in verdict.message


def test_a_version_that_is_loaded_needs_nothing_more() -> None:
    assert integrity.judge(ARCHIVE, replace(ENOUGH, free_memory=0, free_disk=0), loaded=True).outcome is Outcome.PASS


def test_an_archive_that_was_not_checked_fails() -> None:
    assert integrity.judge(replace(ARCHIVE, sha256=""), ENOUGH, loaded=False).outcome is Outcome.FAIL


def test_an_archive_without_a_digest_file_passes_with_a_warning() -> None:
    verdict = integrity.judge(replace(ARCHIVE, listed=False), ENOUGH, loaded=False)
    assert verdict.outcome is Outcome.PASS
    assert "damage cannot be detected" in verdict.message


def test_golden_answers_pass_fail_or_are_missing() -> None:
    passed = golden.judge("digits", "2.0", 10, None)
    assert (passed.outcome, passed.message) == (Outcome.PASS, "digits 2.0 reproduced 10 golden answers over HTTP")
    failed = golden.judge("digits", "2.0", None, "golden image 3.png: class '3' has probability 0.1")
    assert failed.outcome is Outcome.FAIL
    assert failed.message == "digits 2.0: golden image 3.png: class '3' has probability 0.1"
    for answers in (None, 0):
        assert golden.judge("digits", "2.0", answers, None).outcome is Outcome.INCONCLUSIVE


def latencies(median: float, count: int = 50, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return median * np.random.default_rng(seed).lognormal(0, 0.1, count)


def test_equal_latency_passes() -> None:
    verdict = latency.judge(list(latencies(0.010)), list(latencies(0.010, seed=1)), WARM_UP)
    assert verdict.outcome is Outcome.PASS
    assert "within the limit of 1.5" in verdict.message


def test_doubled_latency_fails() -> None:
    verdict = latency.judge(list(latencies(0.010)), list(latencies(0.020, seed=1)), WARM_UP)
    assert verdict.outcome is Outcome.FAIL
    assert "above the limit of 1.5" in verdict.message
    assert verdict.evidence["median_ratio"] == pytest.approx(2, abs=0.2)


def test_doubled_latency_fails_on_a_busy_machine_too() -> None:
    """Other load slows some pairs eight times, so the p95 of both versions says nothing."""
    load = np.where(np.random.default_rng(2).random(50) < 0.3, 8.0, 1.0)
    stable, candidate = latencies(0.010) * load, latencies(0.020, seed=1) * load
    assert latency.judge(list(stable), list(candidate), WARM_UP).outcome is Outcome.FAIL


@pytest.mark.parametrize(("above", "pairs"), [(34, 50), (25, 50), (0, 20), (20, 20)])
def test_significance_is_that_of_a_sign_test(above: int, pairs: int) -> None:
    assert latency.p_value(above, pairs) == pytest.approx(binomtest(above, pairs, 0.5, "greater").pvalue)


def test_pauses_of_the_machine_do_not_fail_a_candidate() -> None:
    candidate = latencies(0.010, seed=1)
    candidate[:20] = 0.5
    assert latency.judge(list(latencies(0.010)), list(candidate), WARM_UP).outcome is Outcome.PASS


def test_median_slightly_above_the_limit_is_inconclusive() -> None:
    candidate = [0.016] * 30 + [0.010] * 20
    verdict = latency.judge([0.010] * 50, candidate, WARM_UP)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "not significantly above" in verdict.message


@pytest.mark.parametrize("count", [0, 19])
def test_few_latencies_are_inconclusive(count: int) -> None:
    verdict = latency.judge(list(latencies(0.010, count)), list(latencies(0.050, count)), WARM_UP)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "20 are needed" in verdict.message
