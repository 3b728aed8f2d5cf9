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
def test_version_is_registered_once_for_each_role_that_it_has_workers_for(
    role_counts: RoleCounts, names: list[str]
) -> None:
    assert role_counts.registered_names("digits") == names


@pytest.mark.parametrize("name", ["digits", "explain", "explain-digits", "digits-explainer", "unbatched", "alone"])
def test_other_names_are_allowed_for_models(name: str) -> None:
    assert worker_roles.parse(name) == (name, Role.PREDICT)
    assert worker_roles.check_model_name(name) == name


@pytest.mark.parametrize("suffix", ["-explain", "-unbatched"])
def test_model_name_that_ends_like_an_extra_workers_is_refused(suffix: str) -> None:
    model, role = worker_roles.parse(f"digits{suffix}")
    assert (model, role.suffix) == ("digits", suffix)
    with pytest.raises(ConfigError, match=f"model 'digits{suffix}' cannot be served: names that end in '{suffix}'"):
        worker_roles.check_model_name(f"digits{suffix}")


def test_explain_suffix_is_the_same_in_the_handler() -> None:
    from handlers.torchserve_handler import EXPLAINS

    assert Role.EXPLAIN.suffix == EXPLAINS


def test_proxy_and_workers_reserve_the_same_part_of_a_deadline() -> None:
    assert plugin.RESERVE_MS == haproxy.RESERVE_MS
