"""Steps of several phases: look at the candidate's workers, and end without a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from serving.rollout.checks import workers
from serving.rollout.plan import OnInconclusive
from serving.rollout.report import words
from serving.rollout.rollout_run import RolloutRun


def workers_are_up(run: RolloutRun) -> bool:
    """Roll back if the candidate lost a worker; return whether the rollout goes on."""
    rollout = run.rollout
    registered = run.around.registry.find(rollout.model, rollout.candidate)
    return run.judge(workers.judge(rollout.candidate, registered))


def time_out(run: RolloutRun, progress: str, checks: Sequence[str]) -> None:
    """End a phase that has no verdict in time, as the plan says.

    Args:
        progress: what was reached, in words.
        checks: names of the checks that the phase waits for.
    """
    waiting = [name for name in checks if not run.passed(name)]
    reason = f"no verdict after {words.plain_duration(run.elapsed)}: {progress}"
    if waiting:
        reason += f"; {', '.join(waiting)} inconclusive"
    if run.rollout.plan.on_inconclusive is OnInconclusive.ROLL_BACK:
        run.roll_back(reason)
    else:
        run.pause(reason)
