"""Check the verdicts before a candidate gets any traffic: archive and resources, golden answers, golden latency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact

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


def latencies(median: float, count: int = 50, seed: int = 0) -> list[float]:
    return list(median * np.random.default_rng(seed).lognormal(0, 0.1, count))


def test_equal_latency_passes_with_both_p95() -> None:
    verdict = latency.judge(latencies(0.010), latencies(0.010, seed=1), WARM_UP)
    assert verdict.outcome is Outcome.PASS
    assert "within the limit of 1.5 times" in verdict.message


def test_doubled_latency_fails() -> None:
    verdict = latency.judge(latencies(0.010), latencies(0.020, seed=1), WARM_UP)
    assert verdict.outcome is Outcome.FAIL
    assert "above the limit of 1.5 times" in verdict.message


@pytest.mark.parametrize(("above", "below"), [((11, 39), (3, 47)), ((0, 50), (3, 47)), ((20, 0), (2, 18))])
def test_significance_is_that_of_fishers_exact_test(above: tuple[int, int], below: tuple[int, int]) -> None:
    expected = fisher_exact([above, below], alternative="greater").pvalue
    assert latency.p_value(above, below) == pytest.approx(expected)


def test_three_pauses_of_the_machine_do_not_fail_a_candidate() -> None:
    candidate = latencies(0.010, seed=1)
    candidate[:3] = [0.5, 0.5, 0.5]
    verdict = latency.judge(latencies(0.010), candidate, WARM_UP)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "not significantly above" in verdict.message


@pytest.mark.parametrize("count", [0, 19])
def test_few_latencies_are_inconclusive(count: int) -> None:
    verdict = latency.judge(latencies(0.010), latencies(0.050, count), WARM_UP)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "20 of each are needed" in verdict.message
