"""A client with the token gets responses, even if others at the same address hold many connections."""

from __future__ import annotations

import pytest

from benchmarks.attacks import outage
from benchmarks.attacks.outage import ATTACKS, Attack
from tests.support.server import TOKEN, Server

SECONDS = 1.5


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_client_with_a_token_is_answered_while_others_hold_connections(
    production: Server, digit: dict[str, bytes], attack: Attack
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    outcome = outage.run(production.ports.public, attack, "/predictions/digits", digit["3"], headers, SECONDS)
    assert set(outcome.statuses) == {200}
    assert max(outcome.milliseconds) < 2_000
    if attack.data.endswith(b"\r\nx") or attack.data.startswith(b"GET"):
        assert outcome.still_open == 0, "what needs no answer is closed at once"
