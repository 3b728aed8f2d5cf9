from __future__ import annotations

import pytest

from handlers.explain import plugin
from serving.errors import ConfigError
from serving.proxy import haproxy
from serving.torchserve import worker_roles
from serving.torchserve.worker_roles import PREDICT_ONLY, Role, RoleCounts


@pytest.mark.parametrize(
    ("role_counts", "names"),
    [
        (RoleCounts(), ["digits", "digits-explain", "digits-unbatched"]),
        (RoleCounts(explain=2, unbatched=0), ["digits", "digits-explain"]),
        (RoleCounts(explain=0), ["digits", "digits-unbatched"]),
        (PREDICT_ONLY, ["digits"]),
    ],
)
def test_a_version_is_registered_once_for_each_role_that_it_has_workers_for(
    role_counts: RoleCounts, names: list[str]
) -> None:
    assert role_counts.registered_names("digits") == names


@pytest.mark.parametrize("name", ["digits", "explain", "explain-digits", "digits-explainer", "unbatched", "alone"])
def test_other_names_are_a_models_own(name: str) -> None:
    assert worker_roles.parse(name) == (name, Role.PREDICT)
    assert worker_roles.check_model_name(name) == name


@pytest.mark.parametrize("suffix", ["-explain", "-unbatched"])
def test_a_name_of_workers_of_ours_is_refused(suffix: str) -> None:
    model, role = worker_roles.parse(f"digits{suffix}")
    assert (model, role.suffix) == ("digits", suffix)
    with pytest.raises(ConfigError, match=f"model 'digits{suffix}' cannot be served: names that end in '{suffix}'"):
        worker_roles.check_model_name(f"digits{suffix}")


def test_workers_know_that_they_explain_by_the_same_word() -> None:
    from handlers.torchserve_handler import EXPLAINS

    assert Role.EXPLAIN.suffix == EXPLAINS


def test_the_proxy_and_the_workers_keep_as_much_of_a_deadline_for_the_way_back() -> None:
    assert plugin.RESERVE_MS == haproxy.RESERVE_MS
