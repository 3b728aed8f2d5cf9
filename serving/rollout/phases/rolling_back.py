"""Rollback: clients get the stable version at once. Then the candidate drains and is unregistered."""

from __future__ import annotations

from serving.rollout.phase import RolloutPhase
from serving.rollout.rollout_run import RolloutRun


def roll_back(run: RolloutRun) -> None:
    """Restore traffic and registrations. Every step can be repeated."""
    rollout, around = run.rollout, run.around
    model, stable, candidate = rollout.model, rollout.stable, rollout.candidate
    if rollout.promoted and around.router.default(model) in (stable, candidate):
        # The proxy comes first, because the command takes longer. A killed command may have changed the map on disk and
        # not in the proxy, so the default is set again in any case.
        around.splits.restore(model, stable)
        around.versions.restore(model, stable)
    around.splits.clear(model)
    rollout.share = 0.0
    run.shadow.stop()
    if rollout.registered_here and around.versions.exists(model, candidate):
        around.versions.retire(model, candidate)
    run.end(RolloutPhase.ROLLED_BACK, reason=rollout.reason)
