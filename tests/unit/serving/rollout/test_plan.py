"""The plan of a rollout: defaults, percentages and durations, and an error for each wrong key or value."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import ConfigError
from serving.rollout import plan
from serving.rollout.plan import OnInconclusive, Plan


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_empty_plan_has_every_default(tmp_path: Path) -> None:
    assert plan.read(written(tmp_path, "")) == Plan()
    assert Plan().on_inconclusive is OnInconclusive.PAUSE
    assert not Plan().retire_previous
    assert Plan().shadow.keep_images == 0


def test_shares_and_durations_may_have_units(tmp_path: Path) -> None:
    read = plan.read(
        written(
            tmp_path,
            "canary: {shares: [1%, 0.5], hold: 90s, timeout: 2h}\nbake: 5m\nshadow: {share: 12.5%, timeout: '30'}",
        )
    )
    assert (read.canary.shares, read.canary.hold, read.canary.timeout) == ((0.01, 0.5), 90.0, 7200.0)
    assert (read.bake, read.shadow.share, read.shadow.timeout) == (300.0, 0.125, 30.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("canry: {}", "unknown key 'canry': did you mean canary?"),
        ("canary: {share: 5}", "unknown key 'canary.share': did you mean shares?"),
        ("shadow: {xyzzy: 1}", "unknown key 'shadow.xyzzy': there are share, pairs, "),
        ("bake: 5x", "bake: write a number of seconds, or a duration such as 90s, 5m or 2h (it is '5x')"),
        ("bake: -1", "bake: Input should be greater than or equal to 0 (it is -1)"),
        ("bake: nan", "bake: "),
        ("shadow: {share: ten}", "shadow.share: write a number from 0 to 1, or a percentage such as 5% (it is 'ten')"),
        ("shadow: {share: 120%}", "shadow.share: Input should be less than or equal to 1 (it is 1.2)"),
        ("canary: {shares: [50%, 5%]}", "shares is [0.5, 0.05]: each must be larger than the one before"),
        ("canary: {shares: [5%, 5%]}", "shares is [0.05, 0.05]: each must be larger than the one before"),
        ("canary: {shares: [50%, 100%]}", "canary.shares.1: Input should be less than 1 (it is 1.0)"),
        ("canary: {sticky: ip}", "canary.sticky: Input should be 'none', 'header' or 'cookie' (it is 'ip')"),
        ("[1, 2]", "plan.yaml: "),
        ("a: [", "plan.yaml"),
    ],
)
def test_wrong_plan_is_an_error_with_key_and_value(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        plan.read(written(tmp_path, text))
    assert message in str(error.value)


def test_missing_plan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no plan .*plan\.yaml: leave --plan out for the default plan"):
        plan.read(tmp_path / "plan.yaml")
