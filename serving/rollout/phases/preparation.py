"""Before clients see the candidate: verify its archive, load and warm up its workers, compare its golden answers."""

from __future__ import annotations

from models.golden import GoldenError
from serving.rollout.checks import golden, integrity, latency
from serving.rollout.phase import RolloutPhase
from serving.rollout.rollout_run import RolloutRun


def verify(run: RolloutRun) -> None:
    """Check the archive, and that there is memory and disk for both versions."""
    rollout, around = run.rollout, run.around
    archive = run.archive
    held = around.registry.holds(rollout.model, rollout.candidate)
    resources = around.resources(rollout.model, rollout.stable, archive)
    if run.judge(integrity.judge(archive, resources, loaded=held)):
        rollout.registered_here = not held
        run.enter(RolloutPhase.VERIFIED, sha256=archive.sha256)


def register(run: RolloutRun) -> None:
    """Register the candidate beside the stable version, with as many workers, and wait until they are READY."""
    rollout, around = run.rollout, run.around
    stable = around.registry.find(rollout.model, rollout.stable)
    workers = rollout.plan.workers or (stable.predicting.configured if stable else None)
    around.versions.register(rollout.model, rollout.candidate, workers)
    run.enter(RolloutPhase.REGISTERED, workers=workers)


def warm_up(run: RolloutRun) -> None:
    """Send the first predictions to the candidate, which are slower than all later ones."""
    requests = run.rollout.plan.warm_up.requests
    if requests:
        run.around.golden.warm_up(run.archive, requests)
    run.enter(RolloutPhase.WARM, requests=requests)


def compare_golden(run: RolloutRun) -> None:
    """Compare the candidate with its golden answers, and its latency with the stable version's."""
    rollout, around, archive = run.rollout, run.around, run.archive
    answers, error = None, None
    try:
        answers = around.golden.check(archive)
    except GoldenError as wrong:
        error = str(wrong)
    if not run.judge(golden.judge(rollout.model, rollout.candidate, answers, error)):
        return
    stable, candidate = around.golden.latencies(archive, (rollout.stable, rollout.candidate))
    if run.judge(latency.judge(stable, candidate, rollout.plan.warm_up)):
        run.enter(RolloutPhase.GOLDEN, answers=answers)
