"""The story of a rollout in a sentence or two, for a person who has not followed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.rollout.phase import RolloutPhase
from serving.rollout.record import Rollout
from serving.rollout.report import check_names, figures, words
from serving.rollout.report.figures import ArmFigures, Moment
from serving.rollout.report.periods import step_text
from serving.rollout.verdict import Outcome
from serving.runtime.instance import Ports

# The port that commands use without --port.
DEFAULT_PORT = Ports().public


@dataclass(frozen=True, slots=True)
class Headline:
    """The top of the report.

    Attributes:
        status: one or two words: `Done`, `Rolled back`, `Waits for you`, `Running`, `Needs a person`.
        tone: good, bad, wait or run.
        sentence: what happened and why.
        evidence: the figures of the check that decided; empty if none did.
        traffic: what clients got from the candidate.
        advice: what to do now; empty if there is nothing to do.
    """

    status: str
    tone: str
    sentence: str
    evidence: str
    traffic: str
    advice: str = ""


def headline(rollout: Rollout, moments: Sequence[Moment], port: int = DEFAULT_PORT) -> Headline:
    """Return the headline of a rollout.

    Args:
        rollout: the state.
        moments: the figures over time, or the last of each stage.
        port: port of the server's proxy, for the commands in the advice.
    """
    ports = f" --port {port}" if port != DEFAULT_PORT else ""
    flags = f"--model {rollout.model}{ports}"
    model, stable, candidate = rollout.model, rollout.stable, rollout.candidate
    name = f"Version {candidate} of {model}"
    because, evidence = _cause(rollout)
    advice = ""
    if rollout.phase is RolloutPhase.DONE:
        status, tone, evidence = "Done", "good", ""
        sentence = f"{name} now answers all requests. {_passed(rollout)}"
    elif rollout.phase is RolloutPhase.ROLLED_BACK:
        status, tone = "Rolled back", "bad"
        sentence = f"{name} was rolled back{because} Version {stable} answers all requests."
    elif rollout.phase is RolloutPhase.NEEDS_HUMAN:
        status, tone = "Needs a person", "bad"
        sentence = f"The rollout of version {candidate} of {model} failed, and so did the way back{because}"
        advice = (
            f"Look at once which version answers: `torchlight versions models{ports}`. Then make the right version the "
            f"default, such as `torchlight versions promote {flags} --version {stable}`."
        )
    elif rollout.phase is RolloutPhase.ROLLING_BACK:
        status, tone = "Rolling back", "bad"
        sentence = f"{name} is being rolled back{because}"
    elif rollout.paused is not None:
        status, tone = "Waits for you", "wait"
        sentence = f"The rollout of version {candidate} of {model} is paused{because} {_answering(rollout)}"
        advice = (
            f"To go on, run `torchlight rollout resume {flags}`. To go back to version {stable}, run "
            f"`torchlight rollout abort {flags}`."
        )
    else:
        status, tone, sentence, evidence = "Running", "run", _running(rollout), ""
    return Headline(status, tone, sentence, evidence, _traffic(rollout, moments), advice)


def _cause(rollout: Rollout) -> tuple[str, str]:
    """Return why it rolled back or paused, as the end of a sentence, and the figures of the check that decided."""
    text = (rollout.paused if rollout.reason is None else rollout.reason) or ""
    check, _, message = text.partition(":")
    if check in rollout.verdicts:
        failure = check_names.name_of(check).failure
        versions = {"stable": f"version {rollout.stable}", "candidate": f"version {rollout.candidate}"}
        return f" because {failure.format(**versions)}.", _ended(_capitalized(message))
    return f": {_ended(check_names.readable(text))}" if text else ".", ""


def _capitalized(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]


def _ended(text: str) -> str:
    return f"{text.strip().rstrip('.')}."


def _passed(rollout: Rollout) -> str:
    """Return which checks passed, and which did not."""
    by_outcome: dict[Outcome, list[str]] = {outcome: [] for outcome in Outcome}
    for verdict in rollout.verdicts.values():
        by_outcome[verdict.outcome].append(check_names.name_of(verdict.check).title.lower())
    passed = len(by_outcome[Outcome.PASS])
    missing = set(check_names.expected(rollout.plan)) - rollout.verdicts.keys()
    sentences = []
    if not (by_outcome[Outcome.FAIL] or by_outcome[Outcome.INCONCLUSIVE] or missing):
        sentences.append(f"It passed all {passed} checks.")
    else:
        sentences.append(f"It passed {passed} of {passed + len(rollout.verdicts) - passed + len(missing)} checks.")
    if by_outcome[Outcome.FAIL]:
        sentences.append(f"A person went on although a check failed: {words.enumeration(by_outcome[Outcome.FAIL])}.")
    if by_outcome[Outcome.INCONCLUSIVE]:
        sentences.append(f"Without a verdict: {words.enumeration(by_outcome[Outcome.INCONCLUSIVE])}.")
    return " ".join(sentences)


def _answering(rollout: Rollout) -> str:
    if rollout.share >= 1:
        return f"Version {rollout.candidate} answers all requests meanwhile."
    if rollout.share > 0:
        return f"Meanwhile version {rollout.candidate} still answers {words.percent(rollout.share)} of the requests."
    return f"Version {rollout.stable} answers all requests meanwhile."


def port_of(folder: Path) -> int:
    """Return the port of the server that a rollout's folder, `.run/<port>/rollouts/<id>/`, belongs to."""
    name = folder.absolute().parent.parent.name
    return int(name) if name.isdecimal() else DEFAULT_PORT


def _running(rollout: Rollout) -> str:
    """Return what happens now."""
    stable, candidate = f"Version {rollout.stable}", f"Version {rollout.candidate} of {rollout.model}"
    match rollout.phase:
        case RolloutPhase.PLANNED:
            return f"The archive of version {rollout.candidate} of {rollout.model} is being checked."
        case RolloutPhase.VERIFIED:
            return f"{candidate} loads its workers. {stable} answers all requests."
        case RolloutPhase.REGISTERED:
            return f"{candidate} warms up. {stable} answers all requests."
        case RolloutPhase.WARM:
            return f"The golden answers of version {rollout.candidate} of {rollout.model} are being compared."
        case RolloutPhase.GOLDEN | RolloutPhase.SHADOW:
            return f"{candidate} answers copies of real requests. Clients get the answers of version {rollout.stable}."
        case RolloutPhase.CANARY:
            share = words.percent(rollout.share)
            return f"{candidate} answers {share} of the requests ({step_text(rollout)})."
        case RolloutPhase.PROMOTED:
            return f"{candidate} becomes the default version."
        case RolloutPhase.BAKING:
            return f"{candidate} answers all requests. {stable} stays ready, and comes back at the first alarm."
        case RolloutPhase.DRAINING:
            return f"{candidate} answers all requests. {stable} finishes its last ones, and is unregistered."
    return f"{candidate}: {rollout.phase.value.replace('_', ' ')}."


def _traffic(rollout: Rollout, moments: Sequence[Moment]) -> str:
    """Return what clients got from the candidate."""
    phases = (RolloutPhase.CANARY, RolloutPhase.PROMOTED, RolloutPhase.BAKING)
    stable, candidate = figures.total(moments, *phases)
    if not candidate.requests:
        return f"No client has got an answer from version {rollout.candidate}."
    answers = f"Clients got {words.number(candidate.requests, 'answer')} from version {rollout.candidate}"
    if not candidate.errors:
        return f"{answers}, without an error."
    beside = f"; version {rollout.stable} in the same time: {_percent(stable)}" if stable.requests else ""
    errors = words.number(candidate.errors, "of them was an error", "of them were errors")
    return f"{answers}: {errors} ({_percent(candidate)}{beside})."


def _percent(counts: ArmFigures) -> str:
    return words.percent(counts.errors / counts.requests)
