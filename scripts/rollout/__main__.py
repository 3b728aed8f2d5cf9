"""Roll a new version out on live traffic: shadow, canary, promotion, and back by itself if a check fails.

For example:

    torchlight rollout start --model cells --version 2.0
    torchlight rollout status --model cells
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from scripts import cli
from scripts.command import say
from scripts.rollout import view
from serving.errors import VersionError
from serving.rollout import local, plan, request_file
from serving.rollout import record as records
from serving.rollout import start as starting
from serving.rollout.journal import actor
from serving.rollout.phase import RolloutPhase
from serving.rollout.plan import Plan
from serving.rollout.record import Record, Rollout
from serving.rollout.request_file import Action, Request
from serving.runtime.instance import Instance, Ports

app = App(name="rollout", version_flags=(), default_parameter=cli.FLAGS)
AsJson = Annotated[bool, Parameter(name="--json")]
# The controller takes a request within a second, unless the candidate is loading.
REQUEST_SECONDS = 5.0


@app.command
def start(
    *,
    model: str = "digits",
    version: str | None = None,
    plan_file: Annotated[Path | None, Parameter(name="--plan")] = None,
    dry_run: bool = False,
    wait: bool = False,
    port: int = 8080,
) -> None:
    """Start a rollout of a version that is in the model store. It goes on when this command has ended.

    For example:

        torchlight rollout start --model cells --version 2.0 --plan plan.yaml --dry-run

    Args:
        model: name of the model
        version: the new version (default: the newest in the store)
        plan_file: YAML file with shares, times and limits (default: the default plan)
        dry_run: print what would happen, and change nothing
        wait: show the rollout until it has ended, and exit with 1 unless the version was promoted
        port: port of the server's proxy
    """
    chosen = plan.read(plan_file) if plan_file is not None else Plan()
    instance = Instance(Ports(port))
    around = local.surroundings_of(instance, partial(say, file=sys.stderr))
    rollout = starting.prepare(instance.folder, around, model, version, chosen)
    if dry_run:
        print(f"{model} {rollout.stable} -> {rollout.candidate} would go through these phases:")
        print("\n".join(f"- {sentence}" for sentence in starting.description(rollout)))
        return
    record = starting.start(instance.folder, around, rollout)
    say(f"started: {rollout.id}, from {rollout.stable} to {rollout.candidate}")
    say(f"it goes on without this terminal; look at it with `torchlight rollout status --model {model} --port {port}`")
    if wait:
        _follow(record)


@app.command
def status(*, model: str = "digits", port: int = 8080, once: bool = False, as_json: AsJson = False) -> None:
    """Show the last rollout of a model: live in a terminal until it ends, or once elsewhere.

    For example:

        torchlight rollout status --model cells --json

    Args:
        model: name of the model
        port: port of the server's proxy
        once: print it once
        as_json: print JSON instead of text
    """
    record = _last(Instance(Ports(port)).folder, model)
    if as_json:
        print(json.dumps(view.document(record), indent=2))
    elif once or not sys.stdout.isatty():
        print(view.text(record))
    else:
        view.live(record)


@app.command
def pause(*, model: str = "digits", port: int = 8080) -> None:
    """Stop a rollout where it is: both versions keep their shares, and a failed check still rolls back.

    For example:

        torchlight rollout pause --model cells

    Args:
        model: name of the model
        port: port of the server's proxy
    """
    _request(Action.PAUSE, model, port)


@app.command
def resume(*, model: str = "digits", port: int = 8080) -> None:
    """Go on with a paused rollout. If a check paused it, this accepts the verdict.

    For example:

        torchlight rollout resume --model cells

    Args:
        model: name of the model
        port: port of the server's proxy
    """
    _request(Action.RESUME, model, port)


@app.command
def promote(*, model: str = "digits", port: int = 8080) -> None:
    """Make the candidate the default now, without the remaining canary steps. It must be past its golden answers.

    For example:

        torchlight rollout promote --model cells

    Args:
        model: name of the model
        port: port of the server's proxy
    """
    _request(Action.PROMOTE, model, port)


@app.command
def abort(*, model: str = "digits", port: int = 8080) -> None:
    """Roll back: all requests go to the old version at once, and the candidate is unregistered.

    For example:

        torchlight rollout abort --model cells

    Args:
        model: name of the model
        port: port of the server's proxy
    """
    _request(Action.ABORT, model, port)


@app.command
def history(*, model: str | None = None, port: int = 8080, as_json: AsJson = False) -> None:
    """List the rollouts of a server, with their ends and reports.

    For example:

        torchlight rollout history

    Args:
        model: name of the model (default: all)
        port: port of the server's proxy
        as_json: print JSON instead of text
    """
    folder = Instance(Ports(port)).folder
    if as_json:
        states = [rollout for _, rollout in records.readable(folder) if model in (None, rollout.model)]
        print(json.dumps([rollout.model_dump(mode="json") for rollout in states], indent=2))
    else:
        print(view.history(records.records(folder) if model is None else records.of_model(folder, model)))


def _last(folder: Path, model: str) -> Record:
    """Return the last rollout of a model.

    Raises:
        VersionError: there is none.
    """
    matching = records.of_model(folder, model)
    if not matching:
        raise VersionError(
            f"there was no rollout of {model!r} on this server: start one with `torchlight rollout start`"
        )
    return matching[-1]


def _request(action: Action, model: str, port: int) -> None:
    """Leave a request for the controller, and wait until it has taken it."""
    instance = Instance(Ports(port))
    local.ready_status(instance)
    record = _last(instance.folder, model)
    rollout = record.load()
    if (refusal := _refusal(action, rollout)) is not None:
        raise VersionError(refusal)
    request_file.write(record.folder, Request(action=action, actor=actor()))
    records.wake_file(instance.folder).touch()
    deadline = time.monotonic() + REQUEST_SECONDS
    while request_file.read(record.folder) is not None:
        if time.monotonic() > deadline:
            say(f"{rollout.id}: {action.value} is noted; it takes effect when the present step is complete")
            return
        time.sleep(0.05)
    say(f"{rollout.id}: {_state(record.load())}")


def _refusal(action: Action, rollout: Rollout) -> str | None:
    """Return why a request makes no sense now, or None."""
    if rollout.phase.is_final:
        return f"{rollout.id} has ended: {_state(rollout)}"
    if rollout.phase.is_ending and action is not Action.RESUME:
        return f"{rollout.id} is ending already: {_state(rollout)}"
    if action is Action.PROMOTE and not rollout.phase.allows_promotion:
        return f"{rollout.id} can be promoted from its golden answers to its last canary step: {_state(rollout)}"
    if action is Action.RESUME and rollout.paused is None:
        return f"{rollout.id} is not paused: {_state(rollout)}"
    if action is Action.PAUSE and rollout.paused is not None:
        return f"{rollout.id} is paused already: {rollout.paused}"
    return None


def _state(rollout: Rollout) -> str:
    phase = rollout.phase.value.replace("_", " ")
    state = phase if rollout.phase.is_final else f"{phase}, the candidate has a share of {rollout.share:.1%}"
    if rollout.paused is not None:
        return f"paused ({rollout.paused}) in {state}"
    return f"{state}: {rollout.reason}" if rollout.reason else state


def _follow(record: Record) -> None:
    try:
        rollout = view.live(record)
    except KeyboardInterrupt:
        say("the rollout goes on")
        return
    if rollout.phase is not RolloutPhase.DONE:
        sys.exit(1)


if __name__ == "__main__":
    cli.run("rollout")
