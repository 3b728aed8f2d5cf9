"""Start of a rollout: the checks that need no traffic, and the record that the controller follows."""

from __future__ import annotations

import datetime
from pathlib import Path

from models.release import check_spelling, version_key
from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.errors import VersionError
from serving.rollout import record as records
from serving.rollout.journal import actor
from serving.rollout.plan import Plan
from serving.rollout.record import Record, Rollout
from serving.rollout.report import words
from serving.rollout.rollout_run import Surroundings
from serving.rollout.state import now
from serving.torchserve import worker_roles


def prepare(folder: Path, around: Surroundings, model: str, version: str | None, plan: Plan) -> Rollout:
    """Return the state of a new rollout, which is not stored yet.

    Args:
        folder: the server's folder.
        version: the candidate; None takes the newest archive of the model.

    Raises:
        ArchiveError: the archive is missing, damaged or was replaced.
        ReleaseError: the version has another spelling in the store.
        VersionError: the model is not served, the version is the default, or a rollout of the model is active.
    """
    worker_roles.check_model_name(model)
    stable = around.router.default(model)
    if stable is None:
        models = ", ".join(around.registry.models()) or "none"
        raise VersionError(
            f"no model {model!r} is served: there is {models}; `torchlight versions register` adds a new one"
        )
    stored = store.versions(model, around.root)
    version = version or _newest(stored, stable, around.root, model)
    check_spelling(model, version, stored, f"in {around.root}/")
    if version == stable:
        raise VersionError(f"{model} {version} is the default version already: choose another one with --version")
    if (active := records.active_of(folder, model)) is not None:
        raise VersionError(records.is_active(active.id, model))
    store.checked(Archive(store.path_of(model, version, around.root), model, version))
    started = now()
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return Rollout(
        id=f"{model}-{version}-{stamp}",
        model=model,
        stable=stable,
        candidate=version,
        actor=actor(),
        started=started,
        plan=plan,
        phase_since=started,
    )


def _newest(stored: list[str], stable: str, root: Path, model: str) -> str:
    """Return the newest version in the store, which must be newer than the default version."""
    if not stored or version_key(stored[-1]) <= version_key(stable):
        raise VersionError(
            f"{root} has no version of {model!r} that is newer than {stable}: archive one, or choose one with --version"
        )
    return stored[-1]


def start(folder: Path, around: Surroundings, rollout: Rollout) -> Record:
    """Store a new rollout, and ask the supervisor for a controller."""
    record = records.create(folder, rollout)
    run = around.journal.begin("rollout", rollout.model, rollout.candidate, run=rollout.id)
    run.write(rollout.phase.value, plan=rollout.plan.model_dump(mode="json", exclude_defaults=True))
    records.wake_file(folder).touch()
    return record


def description(rollout: Rollout) -> list[str]:
    """Return what a rollout would do, one sentence for each phase."""
    plan, model, candidate, stable = rollout.plan, rollout.model, rollout.candidate, rollout.stable
    workers = f"{plan.workers} predict workers" if plan.workers else f"as many predict workers as {stable}"
    sentences = [
        f"verify: check the archive of {model} {candidate}, and memory and disk for both versions",
        f"register: load {candidate} beside {stable}, with {workers}",
        f"warm up: send {plan.warm_up.requests} predictions to {candidate}",
        f"golden: compare its golden answers; at most {plan.warm_up.max_latency_ratio:g} times the latency of {stable}",
    ]
    shadow, canary = plan.shadow, plan.canary
    if shadow.pairs:
        sentences.append(
            f"shadow: copy {shadow.share:.0%} of the predictions to {candidate}, and compare {shadow.pairs} answers "
            f"(at most {shadow.max_differences:.1%} may differ) and {shadow.explained} explanations"
        )
    sticky = "" if canary.sticky == "none" else f"; clients stay with one version by {canary.sticky}"
    sentences += [
        f"canary: {candidate} answers {share:.1%} for {words.plain_duration(canary.hold)} or longer, and at least "
        f"{canary.min_requests} requests{sticky}"
        for share in canary.shares
    ]
    sentences.append(f"promote: {candidate} becomes the default")
    sentences.append(
        f"bake: watch {candidate} for {words.plain_duration(plan.bake)}; an alarm brings {stable} back at once"
    )
    if plan.retire_previous:
        sentences.append(f"drain: unregister {stable}, after it has answered its requests")
    inconclusive = "pause" if plan.on_inconclusive == "pause" else "roll back"
    sentences.append(f"at any time: a failed check rolls back to {stable}; no verdict in time: {inconclusive}")
    return sentences
