"""The controller's way through the phases, with fakes around it, and what a kill at any point leaves."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ConfigError, Conflict, StartError, Unreachable, VersionError
from serving.proxy.traffic_split import Split
from serving.rollout import record as records
from serving.rollout import start
from serving.rollout.controller import LEASE, Controller, Patience, step
from serving.rollout.phase import RolloutPhase
from serving.rollout.plan import Plan
from serving.rollout.record import FOLDER, STATE, Record, Rollout
from serving.rollout.request_file import Action
from serving.rollout.rollout_run import RolloutRun
from serving.rollout.verdict import Outcome
from serving.runtime import atomic_files
from tests.unit.serving.rollout.fake_rollout import PLAN, RolloutWorld, replace_checks
from tests.unit.serving.rollout.fake_server import FakeProxy, Killed
from torchlight_client import ErrorResponse

ALL_PHASES = [
    "planned", "verified", "registered", "warm", "golden", "shadow", "canary", "canary", "canary", "canary", "promoted",
    "baking", "done",
]  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RolloutWorld:
    made = RolloutWorld(tmp_path / "server")
    replace_checks(monkeypatch, lambda: made)
    return made


def test_a_good_candidate_goes_through_all_phases(world: RolloutWorld) -> None:
    record = world.begin()
    rollout = world.follow(record)
    assert (rollout.phase, rollout.share, rollout.reason) == (RolloutPhase.DONE, 1.0, None)
    assert world.journal_steps(record) == ALL_PHASES
    facts = world.facts()
    assert (facts["default"], facts["previous"], facts["versions"]) == ("2.0", "1.0", {"1.0", "2.0"})
    assert world.golden_requests.sent == PLAN.warm_up.requests
    shares = [split.share if split else None for split in world.splits.history]
    # shadow, four steps (the limit of slow responses is known before them), after the promotion, and the end
    assert shares == [0.0, 0.01, 0.05, 0.25, 0.5, 0.0, None]
    assert world.splits.history[1] == Split("2.0", 0.01, slow_seconds=0.01)
    assert world.splits.history[5] == Split("1.0", 0.0, slow_seconds=0.01)
    assert not world.shadow.running
    assert len(world.reports) == 7, "shadow, four steps, baking, and the end"
    assert {figures["phase"] for figures in record.figures()} == {"shadow", "canary", "baking"}


def test_each_step_lasts_for_its_hold_and_its_requests(world: RolloutWorld) -> None:
    world.splits.requests = 100
    plan = Plan.model_validate(
        {"shadow": {"pairs": 0}, "canary": {"shares": [0.1], "hold": 5, "min_requests": 200}, "bake": 0}
    )
    record = world.begin(plan)
    before = world.clock.now
    world.follow(record)
    # 10 requests at each look, 2 looks a second
    assert world.clock.now - before == pytest.approx(20 / 2, abs=1.5)


def test_old_version_is_retired_if_the_plan_says_so(world: RolloutWorld) -> None:
    record = world.begin(PLAN.model_copy(update={"retire_previous": True}))
    assert world.follow(record).phase is RolloutPhase.DONE
    assert world.facts()["versions"] == {"2.0"}
    assert world.journal_steps(record)[-2:] == ["draining", "done"]


def test_a_plan_without_evidence_goes_to_full_share_at_once(world: RolloutWorld) -> None:
    record = world.begin(Plan.model_validate({"shadow": {"pairs": 0}, "canary": {"shares": []}, "bake": 0}))
    before = world.clock.now
    assert world.follow(record).phase is RolloutPhase.DONE
    assert world.clock.now - before < 2
    assert world.facts()["default"] == "2.0"


@pytest.mark.parametrize(
    "check",
    ["integrity", "golden", "latency", "shadow_answers", "canary_errors", "canary_latency", "referral_rate", "baking"],
)
def test_a_failed_check_rolls_back(world: RolloutWorld, check: str) -> None:
    world.outcomes[check] = (Outcome.FAIL, 1 if check in ("canary_errors", "baking") else 0)
    before = world.facts()
    record = world.begin()
    rollout = world.follow(record)
    assert rollout.phase is RolloutPhase.ROLLED_BACK
    assert rollout.reason is not None
    assert rollout.reason.startswith(f"{check}: look ")
    after = world.facts()
    assert {**after, "rolled_back_from": None, "TorchServe's default": {}} == {**before, "TorchServe's default": {}}
    assert world.splits.get("digits") is None
    assert not world.shadow.running
    assert world.journal_steps(record)[-2:] == ["rolling_back", "rolled_back"]
    assert [verdict.check for verdict in record.verdicts() if verdict.outcome is Outcome.FAIL] == [check]


def test_after_the_promotion_traffic_goes_back_before_the_commands_run(world: RolloutWorld) -> None:
    world.outcomes["baking"] = (Outcome.FAIL, 1)
    world.follow(world.begin())
    assert world.splits.history[-4:] == [Split("1.0", 1.0)] * 3 + [None]


def test_other_reasons_for_the_same_label_pause_until_a_person_accepts_them(world: RolloutWorld) -> None:
    world.outcomes["shadow_reasons"] = (Outcome.FAIL, 0)
    record = world.begin()
    run = to_phase(world, record, RolloutPhase.SHADOW)
    looks(world, run, 5)
    rollout = record.load()
    assert (rollout.phase, rollout.paused, rollout.share) == (RolloutPhase.SHADOW, "shadow_reasons: look 1", 0.0)
    assert world.splits.splits["digits"].share == 0.0
    world.ask(record, Action.RESUME)
    assert world.follow(record).phase is RolloutPhase.DONE
    resumed = next(entry for entry in world.journal.entries() if entry["step"] == "resumed")
    assert resumed["evidence"] == {"by": "ann@lab", "accepted": ["shadow_reasons"]}


def test_no_traffic_pauses_and_resume_waits_again(world: RolloutWorld) -> None:
    world.splits.requests = 0
    plan = Plan.model_validate({"shadow": {"pairs": 0}, "canary": {"hold": 1, "timeout": 10}, "bake": 0})
    record = world.begin(plan)
    run = to_phase(world, record, RolloutPhase.CANARY)
    looks(world, run, 40)
    paused = record.load().paused
    assert paused is not None
    assert "the candidate answered 0 requests at a share of 1.0%" in paused
    world.splits.requests = 100_000
    looks(world, run, 10)
    assert record.load().paused == paused, "it waits for a person"
    world.ask(record, Action.RESUME)
    assert world.follow(record).phase is RolloutPhase.DONE


def test_no_verdict_rolls_back_if_the_plan_says_so(world: RolloutWorld) -> None:
    world.outcomes["canary_errors"] = (Outcome.INCONCLUSIVE, 0)
    plan = Plan.model_validate({"canary": {"shares": [0.5], "hold": 1, "timeout": 10}, "on_inconclusive": "roll_back"})
    rollout = world.follow(world.begin(plan))
    assert rollout.phase is RolloutPhase.ROLLED_BACK
    assert rollout.reason is not None
    assert "canary_errors inconclusive" in rollout.reason


def test_shadow_without_pairs_pauses_at_its_timeout(world: RolloutWorld) -> None:
    world.shadow.pairs_each = 0
    record = world.begin(Plan.model_validate({"shadow": {"timeout": 5}}))
    run = to_phase(world, record, RolloutPhase.SHADOW)
    looks(world, run, 20)
    paused = record.load().paused
    assert paused is not None
    assert "0 of 300 pairs were compared" in paused


def test_paused_rollout_keeps_its_share_and_still_rolls_back(world: RolloutWorld) -> None:
    record = world.begin()
    run = to_phase(world, record, RolloutPhase.CANARY)
    world.ask(record, Action.PAUSE)
    looks(world, run, 50)
    assert record.load().paused == "by ann@lab"
    assert world.splits.splits["digits"].share == 0.01
    world.outcomes["canary_errors"] = (Outcome.FAIL, 0)
    assert world.follow(record).phase is RolloutPhase.ROLLED_BACK


def test_a_person_promotes_without_the_other_steps(world: RolloutWorld) -> None:
    record = world.begin()
    to_phase(world, record, RolloutPhase.SHADOW)
    world.ask(record, Action.PROMOTE)
    assert world.follow(record).phase is RolloutPhase.DONE
    assert "canary" not in world.journal_steps(record)


def test_a_person_aborts(world: RolloutWorld) -> None:
    record = world.begin()
    to_phase(world, record, RolloutPhase.CANARY)
    world.ask(record, Action.ABORT)
    rollout = world.follow(record)
    assert (rollout.phase, rollout.reason) == (RolloutPhase.ROLLED_BACK, "aborted by ann@lab")
    assert world.facts()["versions"] == {"1.0"}


def test_a_candidate_that_was_registered_before_stays_registered(world: RolloutWorld) -> None:
    world.versions.register("digits", "2.0")
    world.outcomes["golden"] = (Outcome.FAIL, 0)
    assert world.follow(world.begin()).phase is RolloutPhase.ROLLED_BACK
    assert world.facts()["versions"] == {"1.0", "2.0"}


def test_a_worker_that_dies_rolls_back_at_once(world: RolloutWorld) -> None:
    record = world.begin()
    run = to_phase(world, record, RolloutPhase.CANARY)
    for name in ("digits", "digits-explain", "digits-unbatched"):  # it unregisters itself
        del world.management.registered[name, "2.0"]
    looks(world, run, 1)
    assert record.load().phase is RolloutPhase.ROLLING_BACK
    rollout = world.follow(record)
    assert rollout.phase is RolloutPhase.ROLLED_BACK
    assert rollout.reason == "workers: 2.0 is not registered any more: its workers could not start again"


@pytest.mark.parametrize("status", [500, 503])
def test_busy_server_is_asked_again_and_a_failing_one_is_not(world: RolloutWorld, status: int) -> None:
    record = world.begin()
    run = to_phase(world, record, RolloutPhase.REGISTERED)
    world.golden_requests.failure = ErrorResponse("the queue of this model is full", status, "Overloaded")
    patience = Patience(world.clock.monotonic)
    for _ in range(5):
        step(run, patience)
        world.clock.sleep(1)
    world.golden_requests.failure = None
    expected = RolloutPhase.DONE if status == 503 else RolloutPhase.ROLLED_BACK
    assert world.follow(record).phase is expected


def test_a_version_that_does_not_load_rolls_back(world: RolloutWorld) -> None:
    world.management.broken = ("digits",)
    rollout = world.follow(world.begin())
    assert rollout.phase is RolloutPhase.ROLLED_BACK
    assert rollout.reason is not None
    assert rollout.reason.startswith("verified: digits 2.0 cannot be loaded")


def test_a_default_that_somebody_else_made_rolls_back(world: RolloutWorld) -> None:
    world.archive("3.0")
    record = world.begin()
    to_phase(world, record, RolloutPhase.CANARY)
    world.versions.register("digits", "3.0")
    world.versions.promote("digits", "3.0")
    rollout = world.follow(record)
    assert rollout.phase is RolloutPhase.ROLLED_BACK
    assert rollout.reason == "the default of digits is 3.0, which this rollout did not make the default"
    assert world.facts()["default"] == "3.0"


def test_a_proxy_that_is_silent_for_a_moment_changes_nothing(world: RolloutWorld) -> None:
    record = world.begin()
    run = to_phase(world, record, RolloutPhase.CANARY)
    world.splits.unreachable = Unreachable("the proxy does not answer")
    patience = Patience(world.clock.monotonic)
    for _ in range(5):
        assert not step(run, patience)
        world.clock.sleep(1)
    world.splits.unreachable = None
    assert step(run, patience)
    assert world.follow(record).phase is RolloutPhase.DONE


def test_a_registration_whose_answer_was_lost_goes_on(world: RolloutWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    register = world.management.register
    lost = [Unreachable("the management API does not answer in time"), Conflict("registered already")]

    def registers_and_fails(*arguments: Any) -> None:
        register(*arguments)
        if lost:
            raise lost.pop(0)

    monkeypatch.setattr(world.management, "register", registers_and_fails)
    record = world.begin()
    assert world.follow(record).phase is RolloutPhase.DONE
    assert lost == []
    assert sum("does not answer in time" in line for line in world.log) == 1


def test_proxy_that_stays_silent_needs_a_person(world: RolloutWorld) -> None:
    record = world.begin()
    to_phase(world, record, RolloutPhase.CANARY)
    world.splits.unreachable = Unreachable("the proxy does not answer")
    rollout = world.follow(record)
    assert rollout.phase is RolloutPhase.NEEDS_HUMAN
    assert rollout.reason is not None
    assert "canary: the proxy does not answer; the rollback failed: the proxy does not answer" in rollout.reason


def test_a_rollback_that_keeps_failing_needs_a_person(world: RolloutWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.outcomes["canary_errors"] = (Outcome.FAIL, 1)

    def retire(model: str, version: str) -> None:
        raise VersionError("digits 2.0 still has 1 requests after 120 s: run it again")

    monkeypatch.setattr(world.versions, "retire", retire)
    record = world.begin()
    rollout = world.follow(record)
    assert rollout.phase is RolloutPhase.NEEDS_HUMAN
    assert rollout.reason is not None
    assert "the rollback failed: digits 2.0 still has 1 requests" in rollout.reason
    assert world.splits.get("digits") is None, "clients get the old version all the same"
    assert world.facts()["default"] == "1.0"


def test_counts_go_on_after_the_proxy_started_anew(world: RolloutWorld) -> None:
    record = world.begin()
    run = to_phase(world, record, RolloutPhase.CANARY)
    looks(world, run, 2)
    before = run.progress.current.stable.requests
    world.splits.counted.clear()
    world.proxy_identity = "2 200"
    looks(world, run, 1)
    new = run.progress.current.stable.requests - before
    assert 0 < new <= 2 * world.splits.requests


def test_full_disk_changes_no_traffic_and_the_rollout_goes_on_later(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.begin()
    run = to_phase(world, record, RolloutPhase.CANARY)
    shares = list(world.splits.history)
    with monkeypatch.context() as context:
        full = OSError(28, "No space left on device")
        for name in ("write", "append_line"):
            context.setattr(atomic_files, name, raising(full))
        patience = Patience(world.clock.monotonic)
        for _ in range(10):
            step(run, patience)
            world.clock.sleep(0.5)
    assert world.splits.history == shares
    assert world.follow(record).phase is RolloutPhase.DONE


def test_failed_check_helps_clients_even_if_the_disk_is_full(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.begin()
    run = to_phase(world, record, RolloutPhase.CANARY)
    world.outcomes["canary_errors"] = (Outcome.FAIL, 0)
    with monkeypatch.context() as context:
        for name in ("write", "append_line"):
            context.setattr(atomic_files, name, raising(OSError(28, "No space left on device")))
        looks(world, run, 3)
        assert world.splits.splits["digits"] == Split("1.0", 1.0)
    assert world.follow(record).phase is RolloutPhase.ROLLED_BACK


def test_version_commands_leave_the_models_of_a_rollout_alone(world: RolloutWorld) -> None:
    record = world.begin()
    world.versions._rollout_of = lambda model: record.id if model == "digits" else None
    for command in (
        lambda: world.versions.register("digits", "2.0"),
        lambda: world.versions.promote("digits", "2.0"),
        lambda: world.versions.rollback("digits"),
        lambda: world.versions.retire("digits", "2.0"),
    ):
        with pytest.raises(VersionError, match=r"the rollout digits-2\.0-\S+ is active: `torchlight rollout status"):
            command()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.0", r"digits 1\.0 is the default version already"),
        ("9.0", r"digits-9\.0\.mar does not exist|no archive|9\.0"),
    ],
)
def test_a_rollout_of_a_wrong_version_is_refused(world: RolloutWorld, version: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        world.begin(version=version)
    assert not (world.folder / FOLDER).exists()


def test_newest_archive_is_the_candidate_by_default(world: RolloutWorld) -> None:
    world.archive("10.0")
    assert world.begin(version=None).load().candidate == "10.0"


def test_second_rollout_of_a_model_is_refused(world: RolloutWorld) -> None:
    world.begin()
    with pytest.raises(VersionError, match=r"the rollout digits-2\.0-\S+ is active"):
        world.begin()


def test_damaged_record_of_an_earlier_rollout_blocks_no_other(world: RolloutWorld) -> None:
    damaged = world.begin()
    (damaged.folder / STATE).write_text('{"id": "digits-2.0"')
    with pytest.raises(ConfigError, match=rf"rollout\.json.*; remove {damaged.folder} to forget this rollout"):
        damaged.load()
    damaged.folder.rename(damaged.folder.with_name("digits-2.0-20200101T000000"))
    assert world.follow(world.begin()).phase is RolloutPhase.DONE


def test_second_controller_is_kept_out(world: RolloutWorld) -> None:
    world.begin()
    with (world.folder / FOLDER / LEASE).open("w") as lease:
        fcntl.flock(lease, fcntl.LOCK_EX)
        with pytest.raises(StartError, match="another controller runs"):
            world.controller().run()


def test_controller_ends_when_no_rollout_is_active(world: RolloutWorld) -> None:
    record = world.begin()
    assert records.wake_file(world.folder).exists()
    world.ask(record, Action.ABORT)
    world.controller().run()
    assert record.load().phase is RolloutPhase.ROLLED_BACK
    assert not records.wake_file(world.folder).exists()


def test_controller_writes_the_report_before_it_ends(world: RolloutWorld) -> None:
    record = world.begin()
    world.ask(record, Action.ABORT)

    def slow_report(record: Record) -> None:
        time.sleep(1.0)
        world.reports.append(record.id)

    Controller(world.folder, world.around, slow_report).run()
    assert world.reports[-1:] == [record.id]


def test_description_names_each_phase_of_the_plan(world: RolloutWorld) -> None:
    rollout = start.prepare(world.folder, world.around, "digits", "2.0", Plan())
    text = "\n".join(start.description(rollout))
    for words in (
        "load 2.0 beside 1.0",
        "copy 20% of the predictions",
        "answers 25.0% for 1 min",
        "watch 2.0 for 5 min",
    ):
        assert words in text
    assert not (world.folder / FOLDER).exists(), "a dry run stores nothing"


# ---- kills

# Few looks, and every phase.
SHORT = Plan.model_validate(
    {"shadow": {"pairs": 50}, "canary": {"shares": [0.1, 0.5], "hold": 0.5, "min_requests": 10}, "bake": 1}
)


@pytest.mark.slow
def test_kill_after_every_effect_is_repaired_by_the_next_controller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = end_of(tmp_path / "whole", monkeypatch, None, None)
    assert expected["phase"] == "done"
    effects = kill_everywhere(tmp_path, monkeypatch, None, expected)
    assert effects > 60


@pytest.mark.slow
def test_kill_after_every_effect_is_repaired_by_abort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    effects = kill_everywhere(tmp_path, monkeypatch, Action.ABORT, None)
    assert effects > 60


@pytest.mark.slow
@pytest.mark.parametrize("check", ["canary_errors", "baking"])
def test_kill_in_the_middle_of_a_rollback_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    expected = end_of(tmp_path / "whole", monkeypatch, None, None, check)
    assert expected["phase"] == "rolled_back"
    assert kill_everywhere(tmp_path, monkeypatch, None, expected, check) > 60


def kill_everywhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: Action | None,
    expected: dict[str, Any] | None,
    failing: str | None = None,
) -> int:
    """Run a rollout killed after each of its effects in turn, then go on or abort; return the number of effects."""
    for after in range(1, 500):
        folder = tmp_path / f"{action}-{failing}-{after}"
        end = end_of(folder, monkeypatch, after, action, failing)
        if not end.pop("killed"):
            return after
        if expected is not None:
            assert end == without_killed(expected), after
        else:
            assert end["phase"] in ("rolled_back", "done"), after
    raise AssertionError("the rollout never came to its end")


def without_killed(end: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in end.items() if name != "killed"}


def end_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, after: int | None, action: Action | None, failing: str | None = None
) -> dict[str, Any]:
    """Run a rollout, killed after so many effects, and then to its end; return everything that must agree."""
    world = RolloutWorld(folder)
    if failing is not None:
        world.outcomes[failing] = (Outcome.FAIL, 1)
    replace_checks(monkeypatch, lambda: world)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # kills are not power failures
    record = world.begin(SHORT)
    killed = False
    with monkeypatch.context() as context:
        count = [0]
        for owner, name in (
            (atomic_files, "write"),
            (atomic_files, "append_line"),
            (FakeProxy, "_command"),
            (type(world.management), "register"),
            (type(world.management), "scale"),
            (type(world.management), "set_default"),
            (type(world.management), "unregister"),
            (type(world.splits), "set"),
            (type(world.splits), "clear"),
            (type(world.splits), "restore"),
        ):
            context.setattr(owner, name, deadly(getattr(owner, name), count, after))
        try:
            world.follow(record)
        except Killed:
            killed = True
    if killed:
        if action is not None:
            world.ask(record, action)
        world.follow(record)
    rollout: Rollout = record.load()
    facts = world.facts()
    candidate_serves = facts["default"] == "2.0"
    last = world.journal_steps(record)[-1]
    agrees = (
        last == rollout.phase.value
        and candidate_serves == (rollout.phase is RolloutPhase.DONE)
        and facts["map on disk"] == facts["map at run time"]
        and facts["map on disk"]["digits"] == facts["default"]
        and facts["versions"] == {version for _, version in facts["registered"]}
        and world.splits.get("digits") is None
        and not world.shadow.running
    )
    assert agrees, (after, last, facts)
    return {**facts, "phase": rollout.phase.value, "killed": killed, "share": rollout.share}


def deadly(original: Callable[..., Any], count: list[int], after: int | None) -> Callable[..., Any]:
    def effect(*arguments: Any, **named: Any) -> Any:
        answer = original(*arguments, **named)
        count[0] += 1
        if count[0] == after:
            raise Killed
        return answer

    return effect


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: Any, **named: Any) -> Any:
        raise error

    return fail


def to_phase(world: RolloutWorld, record: Record, phase: RolloutPhase) -> RolloutRun:
    """Run a rollout until a phase begins."""
    run = RolloutRun(record, world.around)
    patience = Patience(world.clock.monotonic)
    while run.rollout.phase is not phase:
        assert step(run, patience)
        world.clock.sleep(0.5)
    return run


def looks(world: RolloutWorld, run: RolloutRun, count: int) -> None:
    """Look at a rollout so many times, twice a second."""
    patience = Patience(world.clock.monotonic)
    for _ in range(count):
        step(run, patience)
        world.clock.sleep(0.5)
