from __future__ import annotations

import pytest

from handlers.explain import road
from serving import explainers, frontdoor
from serving.errors import ConfigError


def test_a_version_is_registered_once_for_predictions_and_once_for_explanations() -> None:
    assert explainers.names("digits", 2) == ["digits", "digits-explain"]


def test_without_explain_workers_it_is_registered_once() -> None:
    assert explainers.names("digits", 0) == ["digits"]


@pytest.mark.parametrize("name", ["digits", "explain", "explain-digits", "digits-explainer"])
def test_other_names_are_a_models_own(name: str) -> None:
    assert explainers.check(name) == name


def test_a_name_of_explain_workers_is_refused() -> None:
    with pytest.raises(ConfigError, match="model 'digits-explain' cannot be served: names that end in '-explain'"):
        explainers.check("digits-explain")


def test_workers_know_that_they_explain_by_the_same_word() -> None:
    from handlers.entry import EXPLAINS

    assert EXPLAINS == explainers.SUFFIX


def test_the_door_and_the_workers_keep_as_much_of_a_deadline_for_the_way_back() -> None:
    assert road.RESERVE_MS == frontdoor.RESERVE_MS
