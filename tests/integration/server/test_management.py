"""The client of the management API, its tokens, and the state file, against a real TorchServe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.errors import Conflict, NotRegistered, Refused, Unreachable
from serving.rollout.state_file import StateFile
from serving.torchserve.management import Management
from serving.torchserve.tokens import KeyFile
from serving.torchserve.worker_roles import RoleCounts
from tests.support.server import PREDICT_ONLY, Server, free_port
from tests.support.version_commands import run_ok

# Workers, the most requests of a batch, and the milliseconds that it waits for them.
SETTINGS = (1, 5, 7)


def test_the_client_raises_its_own_errors(served: Server) -> None:
    management = Management.of(served.instance)
    assert management.models() == dict.fromkeys(RoleCounts().registered_names("digits"), "digits-1.0.mar")
    with pytest.raises(NotRegistered, match=r"404: Model version 9\.0 does not exist"):
        management.set_default("digits", "9.0")
    with pytest.raises(NotRegistered, match=r"Model not found at: nothing\.mar"):
        management.register("digits", "nothing.mar", *SETTINGS)
    with pytest.raises(Conflict, match="already registered"):
        management.register("digits", "digits-1.0.mar", *SETTINGS)
    management.register("digits", "digits-2.0.mar", *SETTINGS)
    found = served.describe("/models/digits/2.0")[0]
    assert [found[key] for key in ("minWorkers", "batchSize", "maxBatchDelay")] == [*SETTINGS], "the archive has none"
    with pytest.raises(Refused, match="403: Cannot remove default version"):
        management.unregister("digits", "1.0")
    with pytest.raises(NotRegistered, match="does not match any allowed URL"):
        management.register("digits", "https://example.org/x.mar", *SETTINGS)
    assert management.find("digits", "9.0") is None
    with pytest.raises(Unreachable, match="does not answer at all"):
        Management(free_port(), KeyFile.of(served.instance)).models()


def test_a_management_token_is_used_and_renewed_in_time(store: Path) -> None:
    with Server(store, "--version", "1.0", *PREDICT_ONLY) as server:
        path = server.instance.folder / "key_file.json"
        keys = KeyFile(path, server.ports.management)
        first = keys.token("management")
        assert Management(server.ports.management, keys).models() == {"digits": "digits-1.0.mar"}
        document = json.loads(path.read_text())
        assert first == document["management"]["key"], "a fresh token is not renewed"
        document["management"]["expiration time"] = "2020-01-01T00:00:00.000000000Z"
        path.write_text(json.dumps(document))
        second = keys.token("management")
        assert second != first
        assert Management(server.ports.management, keys).models() == {"digits": "digits-1.0.mar"}
        run_ok(server, "register", "--version", "2.0")
        run_ok(server, "promote", "--version", "2.0")


def test_state_survives_what_it_should(served: Server) -> None:
    path = served.instance.folder / "state.json"
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    kept = StateFile(served.instance.folder).load()
    assert kept is not None
    assert kept.models["digits"].default == "1.0"
