"""One look at a rollout: take a user's request, then do what its phase does."""

from __future__ import annotations

from collections.abc import Callable

from serving.rollout import request_file
from serving.rollout.phase import RolloutPhase
from serving.rollout.phases import canary, preparation, promotion, rolling_back, shadowing
from serving.rollout.request_file import Action, Request
from serving.rollout.rollout_run import RolloutRun

PHASES: dict[RolloutPhase, Callable[[RolloutRun], None]] = {
    RolloutPhase.PLANNED: preparation.verify,
    RolloutPhase.VERIFIED: preparation.register,
    RolloutPhase.REGISTERED: preparation.warm_up,
    RolloutPhase.WARM: preparation.compare_golden,
    RolloutPhase.GOLDEN: shadowing.begin,
    RolloutPhase.SHADOW: shadowing.watch,
    RolloutPhase.CANARY: canary.watch,
    RolloutPhase.PROMOTED: promotion.promote,
    RolloutPhase.BAKING: promotion.bake,
    RolloutPhase.DRAINING: promotion.drain,
    RolloutPhase.ROLLING_BACK: rolling_back.roll_back,
}
# Phases that last. In these a rollout is watched while it is paused.
LASTING = (RolloutPhase.SHADOW, RolloutPhase.CANARY, RolloutPhase.BAKING)


def advance(run: RolloutRun) -> None:
    """Look at a rollout once.

    Raises:
        ServingError, TorchlightError, GoldenError, OSError: a step failed; it can be repeated.
    """
    request = request_file.read(run.record.folder)
    if request is not None:
        take(run, request)
        request_file.remove(run.record.folder)
    phase = run.rollout.phase
    if phase.is_final or (run.rollout.paused is not None and phase not in LASTING):
        return
    if phase is not RolloutPhase.ROLLING_BACK and not _default_is_ours(run):
        return
    PHASES[phase](run)


def take(run: RolloutRun, request: Request) -> None:
    """Follow a user's request, if it makes sense in this phase."""
    phase = run.rollout.phase
    match request.action:
        case Action.PAUSE if not phase.is_ending:
            run.pause(f"by {request.actor}")
        case Action.RESUME:
            run.resume(request.actor)
        case Action.PROMOTE if phase.allows_promotion:
            run.shadow.stop()
            run.enter(RolloutPhase.PROMOTED, by=request.actor)
        case Action.ABORT if not phase.is_ending:
            run.roll_back(f"aborted by {request.actor}")


def _default_is_ours(run: RolloutRun) -> bool:
    """Roll back if somebody else changed the default, as a start of the server with another version does."""
    rollout = run.rollout
    default = run.around.router.default(rollout.model)
    if default in (rollout.stable, rollout.candidate):
        return True
    run.roll_back(f"the default of {rollout.model} is {default}, which this rollout did not make the default")
    return False
