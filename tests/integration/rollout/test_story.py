"""docs/guides/rollouts.md, run by its commands under traffic: a good version goes through, and four bad ones do not.

Each bad version is stopped by the check that should catch it, and clients never get a failed response.
"""

from __future__ import annotations

import pytest

from serving.rollout.phase import RolloutPhase
from serving.rollout.verdict import Outcome
from tests.support import candidates
from tests.support.candidates import ShortcutPair
from tests.support.rollout_commands import await_end, await_report, await_state, command, phases, start
from tests.support.server import Server
from tests.support.traffic import Traffic
from tests.support.version_commands import run_ok, server_state

RATE = 40.0


def traffic(server: Server, images: list[bytes], model: str = "digits") -> Traffic:
    return Traffic(f"{server.url}/predictions/{model}", images, RATE)


@pytest.mark.parametrize(
    ("version", "check"),
    [("1.1", "shadow_answers"), ("1.2", "latency"), ("1.3", "shadow_answers")],
    ids=["less accurate", "slow", "failing for one class"],
)
def test_bad_version_is_stopped_before_clients_see_it(
    rolling: Server, held_out: list[bytes], version: str, check: str
) -> None:
    before = server_state(rolling)
    with traffic(rolling, held_out) as sent:
        # The less accurate version gives another label for 4 to 6 % of the images, the good one for 0.3 %.
        record = start(rolling, version, shadow={"max_differences": "1%"})
        rollout = await_end(record)
    assert (rollout.phase, rollout.verdicts[check].outcome) == (RolloutPhase.ROLLED_BACK, Outcome.FAIL)
    assert str(rollout.reason).startswith(f"{check}: ")
    assert not sent.failed
    assert {answer.version for answer in sent.answers} == {"1.0"}
    assert server_state(rolling) == before
    assert await_report(record).stat().st_size > 0


def test_version_that_fails_for_one_class_is_stopped_by_the_canary_too(rolling: Server, held_out: list[bytes]) -> None:
    before = server_state(rolling)
    with traffic(rolling, held_out) as sent:
        rollout = await_end(start(rolling, "1.3", shadow={"pairs": 0}))
    assert (rollout.phase, rollout.verdicts["canary_errors"].outcome) == (RolloutPhase.ROLLED_BACK, Outcome.FAIL)
    assert {answer.version for answer in sent.failed} == {"1.3"}
    assert server_state(rolling) == before


def test_slow_version_is_stopped_by_the_canary_too(rolling: Server, held_out: list[bytes]) -> None:
    with traffic(rolling, held_out) as sent:
        changes = {"warm_up": {"max_latency_ratio": 1000}, "shadow": {"pairs": 0}}
        rollout = await_end(start(rolling, "1.2", **changes))
    assert (rollout.phase, rollout.verdicts["canary_latency"].outcome) == (RolloutPhase.ROLLED_BACK, Outcome.FAIL)
    assert not sent.failed


def test_version_that_is_right_for_the_wrong_reason_is_held(rolling: Server, shortcut: ShortcutPair) -> None:
    for release in (shortcut.stable, shortcut.candidate):
        candidates.put(release, rolling.workspace / "model_store")
    for name in ("register", "promote"):
        run_ok(rolling, name, "--model", "shapes", "--version", "1.0")
    with traffic(rolling, list(shortcut.images), "shapes") as sent:
        record = start(rolling, "2.0", model="shapes")
        rollout = await_end(record)
        assert str(rollout.paused).startswith("shadow_reasons: ")
        assert rollout.verdicts["shadow_reasons"].outcome is Outcome.FAIL
        assert rollout.verdicts["shadow_answers"].outcome is not Outcome.FAIL
        assert rollout.phase is RolloutPhase.SHADOW
        assert list((record.folder / "shadow" / "maps").glob("*.png"))
        command(rolling, "abort", "--model", "shapes")
        rollout = await_state(record, lambda rollout: rollout.phase.is_final)
    assert rollout.phase is RolloutPhase.ROLLED_BACK
    assert str(rollout.reason).startswith("aborted by ")
    assert not sent.failed
    assert {answer.version for answer in sent.answers} == {"1.0"}


def test_good_version_goes_through(rolling: Server, held_out: list[bytes]) -> None:
    with traffic(rolling, held_out) as sent:
        record = start(rolling, "2.0")
        rollout = await_end(record)
        assert rollout.phase is RolloutPhase.DONE, (rollout.paused, rollout.reason)
    assert not sent.failed
    assert sent.answers[-1].version == "2.0"
    assert phases(rolling, record) == [
        *("planned", "verified", "registered", "warm", "golden", "shadow"),
        *("canary", "canary", "promoted", "baking", "done"),
    ]
    assert {check: verdict.outcome for check, verdict in rollout.verdicts.items()} == dict.fromkeys(
        rollout.verdicts, Outcome.PASS
    )
    assert await_report(record).stat().st_size > 0
    assert server_state(rolling)["default"] == "2.0"
    assert "2.0" in command(rolling, "history")
    assert "done" in command(rolling, "status", "--once")
