from __future__ import annotations

from dataclasses import replace

from models.card import Limits
from serving.artifacts.model_config import HandlerConfig, ModelConfig
from serving.tune import settings
from serving.tune.settings import Settings, divisions, neighbors

SOME = Settings(workers=1, threads=1, batch_size=16, delay_ms=2)


def test_only_what_is_tuned_is_changed() -> None:
    base = ModelConfig(jobQueueSize=50, handler=HandlerConfig(limits=Limits(max_pixels=1000)))
    made = Settings(workers=2, threads=3, batch_size=8, delay_ms=5).config(base)
    assert (made.minWorkers, made.maxWorkers, made.batchSize, made.maxBatchDelay) == (2, 2, 8, 5)
    assert made.handler is not None
    assert made.handler.threads == 3
    assert made.handler.limits.max_pixels == 1000
    assert made.jobQueueSize == 50
    assert "engine" not in made.to_yaml(), "what was not set stays up to the handler"


def test_the_default_is_what_a_model_gets_without_settings() -> None:
    plain = ModelConfig()
    found = settings.default(usable=8)
    assert (found.workers, found.batch_size, found.delay_ms) == (plain.minWorkers, plain.batchSize, plain.maxBatchDelay)
    assert found.threads == 7


def test_workers_and_threads_take_no_more_than_the_cores() -> None:
    assert divisions(1) == [(1, 1)]
    assert divisions(2) == [(1, 1), (1, 2), (2, 1)]
    assert divisions(4) == [(1, 3), (1, 4), (2, 1), (2, 2), (4, 1)]
    assert all(workers * threads <= 24 for workers, threads in divisions(24))


def test_neighbors_lead_away_from_the_best_one_setting_at_a_time() -> None:
    smaller, larger = neighbors(SOME, "batch_size", 2)
    assert [one.batch_size for one in smaller] == [8, 4, 1]
    assert [one.batch_size for one in larger] == [32, 64]
    assert [[one.delay_ms for one in direction] for direction in neighbors(SOME, "delay_ms", 2)] == [[1], [5]]
    assert {(one.workers, one.threads) for [one] in neighbors(SOME, "cores", 2)} == set(divisions(2))


def test_a_batch_of_one_has_no_delay_to_try() -> None:
    assert neighbors(replace(SOME, batch_size=1), "delay_ms", 2) == []


def test_a_delay_of_0_is_never_tried_since_torchserve_would_wait_its_own_100_ms() -> None:
    assert min(settings.DELAYS_MS) > 0
