"""After the last canary step: the candidate becomes the default, and the old version stays warm for a while."""

from __future__ import annotations

from serving.rollout.checks import baking
from serving.rollout.phase import RolloutPhase
from serving.rollout.phases.evidence import workers_are_up
from serving.rollout.rollout_run import RolloutRun


def promote(run: RolloutRun) -> None:
    """Make the candidate the default, after its golden answers were compared once more."""
    rollout = run.rollout
    run.around.versions.promote(rollout.model, rollout.candidate)
    run.count_alone()
    run.enter(RolloutPhase.BAKING, seconds=rollout.plan.bake)


def bake(run: RolloutRun) -> None:
    """Watch the new default. An alarm brings the old version back at once."""
    rollout, plan = run.rollout, run.rollout.plan
    if run.around.splits.get(rollout.model) is None:
        run.count_alone()
    run.count()
    verdict = baking.judge(run.progress.before_promotion, run.progress.current.candidate, plan.canary)
    going_on = workers_are_up(run) and run.judge(verdict)
    run.record_figures()
    if not going_on or rollout.paused or run.elapsed < plan.bake:
        return
    run.around.splits.clear(rollout.model)
    if plan.retire_previous:
        run.enter(RolloutPhase.DRAINING)
    else:
        run.end(RolloutPhase.DONE)


def drain(run: RolloutRun) -> None:
    """Unregister the old version, after it has answered all its requests."""
    run.around.versions.retire(run.rollout.model, run.rollout.stable)
    run.end(RolloutPhase.DONE)
