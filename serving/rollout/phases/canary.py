"""Canary: the candidate answers a growing share of the requests, until its verdicts allow the promotion."""

from __future__ import annotations

from serving.rollout.checks import canary_errors, canary_latency, referral_rate
from serving.rollout.phase import RolloutPhase
from serving.rollout.phases.evidence import time_out, workers_are_up
from serving.rollout.rollout_run import RolloutRun


def begin(run: RolloutRun, step: int) -> None:
    """Begin a step, with its share."""
    run.enter_canary(step)
    ensure_split(run)


def watch(run: RolloutRun) -> None:
    """Judge what the proxy counted. Go to the next share, to the promotion, back, or wait."""
    rollout, plan = run.rollout, run.rollout.plan.canary
    ensure_split(run)
    run.count()
    if run.progress.find_slow_limit():
        run.split(rollout.share)
    stages = run.progress.canary
    verdicts = [
        canary_errors.judge(stages, plan),
        canary_latency.judge(stages, plan, run.progress.slow_seconds),
        referral_rate.judge(stages, plan),
    ]
    going_on = workers_are_up(run) and run.judge(*verdicts)
    run.record_figures()
    if not going_on or rollout.paused:
        return
    answered = run.progress.current.candidate.requests
    complete = run.elapsed >= plan.hold and answered >= plan.min_requests
    last = rollout.step == len(plan.shares) - 1
    names = [verdict.check for verdict in verdicts]
    if complete and not last:
        begin(run, rollout.step + 1)
    elif complete and run.passed(*names):
        run.enter(RolloutPhase.PROMOTED, share=rollout.share)
    elif run.elapsed > max(plan.timeout, plan.hold):
        progress = f"the candidate answered {answered} requests at a share of {rollout.share:.1%}"
        time_out(run, progress, names if last else ())


def ensure_split(run: RolloutRun) -> None:
    """Set the split again if the proxy does not have it, as after a kill in the middle of a transition."""
    split = run.around.splits.get(run.rollout.model)
    share = run.rollout.plan.canary.shares[run.rollout.step]
    if split is None or (split.candidate, split.share) != (run.rollout.candidate, share):
        run.split(share)
