from __future__ import annotations

from dataclasses import replace

from models.card import Limits
from serving.artifacts.model_config import HandlerConfig, ModelConfig
from serving.tune import settings
from serving.tune.settings import WorkerSettings, divisions, neighbors

SOME = WorkerSettings(workers=1, threads=1, batch_size=16, delay_ms=2)


def test_tuned_settings_are_the_only_changes() -> None:
    base = ModelConfig(jobQueueSize=50, handler=HandlerConfig(limits=Limits(max_pixels=1000)))
    config = WorkerSettings(workers=2, threads=3, batch_size=8, delay_ms=5).config(base)
    assert (config.minWorkers, config.maxWorkers, config.batchSize, config.maxBatchDelay) == (2, 2, 8, 5)
    assert config.handler is not None
    assert config.handler.threads == 3
    assert config.handler.limits.max_pixels == 1000
    assert config.jobQueueSize == 50
    assert "engine" not in config.to_yaml(), "what was not set stays up to the handler"


def test_the_default_is_what_a_model_gets_without_settings() -> None:
    plain = ModelConfig()
    default = settings.default(usable=8)
    assert (default.workers, default.batch_size, default.delay_ms) == (
        plain.minWorkers,
        plain.batchSize,
        plain.maxBatchDelay,
    )
    assert default.threads == 7


def test_workers_and_threads_take_no_more_than_the_cores() -> None:
    assert divisions(1) == [(1, 1)]
    assert divisions(2) == [(1, 1), (1, 2), (2, 1)]
    assert divisions(4) == [(1, 3), (1, 4), (2, 1), (2, 2), (4, 1)]
    assert all(workers * threads <= 24 for workers, threads in divisions(24))


def test_neighbors_lead_away_from_the_best_one_setting_at_a_time() -> None:
    smaller, larger = neighbors(SOME, "batch_size", 2)
    assert [candidate.batch_size for candidate in smaller] == [8, 4, 1]
    assert [candidate.batch_size for candidate in larger] == [32, 64]
    assert [[candidate.delay_ms for candidate in direction] for direction in neighbors(SOME, "delay_ms", 2)] == [
        [1],
        [5],
    ]
    assert {(candidate.workers, candidate.threads) for [candidate] in neighbors(SOME, "cores", 2)} == set(divisions(2))


def test_a_batch_of_one_has_no_delay_to_try() -> None:
    assert neighbors(replace(SOME, batch_size=1), "delay_ms", 2) == []


def test_a_delay_of_0_is_never_tried_since_torchserve_would_wait_its_own_100_ms() -> None:
    assert min(settings.DELAYS_MS) > 0
