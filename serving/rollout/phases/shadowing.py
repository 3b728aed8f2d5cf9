"""Shadow: the candidate answers copies of real requests. Clients get the stable version's answers."""

from __future__ import annotations

from serving.rollout.checks import shadow_answers, shadow_reasons
from serving.rollout.phase import RolloutPhase
from serving.rollout.phases import canary
from serving.rollout.phases.evidence import time_out, workers_are_up
from serving.rollout.rollout_run import RolloutRun


def begin(run: RolloutRun) -> None:
    """Start the shadow, and count the stable version's latencies. A plan without pairs leaves the phase out."""
    if not run.rollout.plan.shadow.pairs:
        leave(run)
        return
    run.split(0.0)
    run.shadow.start()
    run.enter(RolloutPhase.SHADOW, pairs=run.rollout.plan.shadow.pairs)


def watch(run: RolloutRun) -> None:
    """Compare until both checks have a verdict."""
    plan = run.rollout.plan.shadow
    if run.rollout.paused is None:
        run.shadow.start()  # again, if the replayer ended
    else:
        run.shadow.stop()  # a person may need days
    run.count()
    summary = run.shadow.summary()
    verdicts = [shadow_answers.judge(summary, plan)]
    names = [verdicts[0].check]
    if plan.explained:
        verdicts.append(shadow_reasons.judge(summary, plan))
        names.append(verdicts[1].check)
    going_on = workers_are_up(run) and run.judge(*verdicts)
    run.record_figures()
    if not going_on or run.rollout.paused:
        return
    if summary.pairs >= plan.pairs and run.passed(*names):
        leave(run)
    elif run.elapsed > plan.timeout:
        time_out(run, f"{summary.pairs} of {plan.pairs} pairs were compared", names)


def leave(run: RolloutRun) -> None:
    """Go to the first canary step, or to the promotion if the plan has none."""
    run.shadow.stop()
    if not run.rollout.plan.canary.shares:
        run.enter(RolloutPhase.PROMOTED)
        return
    run.progress.find_slow_limit()
    canary.begin(run, 0)
