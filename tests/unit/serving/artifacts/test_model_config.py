from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.artifacts import model_config
from serving.artifacts.model_config import ModelConfig
from serving.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def load(path: Path, text: str) -> ModelConfig:
    path.write_text(text, encoding="utf-8")
    return model_config.load(path)


def test_missing_settings_get_their_defaults() -> None:
    assert ModelConfig().model_dump() == {
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": 32,
        "maxBatchDelay": 1,
        "responseTimeout": 60,
        "startupTimeout": 120,
        "maxRetryTimeoutInSec": 300,
        "jobQueueSize": 200,
        "deviceType": None,
        "handler": None,
    }


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "{}"])
def test_an_empty_file_is_all_defaults(path: Path, text: str) -> None:
    assert load(path, text) == ModelConfig()


def test_given_keys_win(path: Path) -> None:
    config = load(path, "batchSize: 8\nmaxBatchDelay: 2\ndeviceType: cpu\nmaxWorkers: 4\n")
    assert config == ModelConfig(batchSize=8, maxBatchDelay=2, deviceType="cpu", maxWorkers=4)


def test_written_settings_read_back_unchanged(path: Path) -> None:
    config = ModelConfig(minWorkers=2, maxWorkers=3, batchSize=64, deviceType="gpu")
    assert load(path, config.to_yaml()) == config


def test_every_key_is_written_and_what_is_unset_is_not() -> None:
    written = yaml.safe_load(ModelConfig().to_yaml())
    assert list(written) == [key for key in ModelConfig.model_fields if key not in ("deviceType", "handler")]


@pytest.mark.parametrize("settings", [{}, {"minWorkers": 2, "maxWorkers": 3, "batchSize": 64, "deviceType": "gpu"}])
def test_in_an_archive_stands_apart_what_torchserve_would_hold_before_a_registration(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    config = ModelConfig.model_validate(settings)
    written = yaml.safe_load(config.archived())
    assert list(written.pop("predict")) == ["minWorkers", "maxWorkers", "batchSize", "maxBatchDelay"]
    assert {"responseTimeout", "startupTimeout", "maxRetryTimeoutInSec", "jobQueueSize"} <= set(written)
    assert not {"minWorkers", "maxWorkers", "batchSize", "maxBatchDelay"} & set(written)
    for text in (config.archived(), config.to_yaml()):  # the latter as archives had it before
        with zipfile.ZipFile(tmp_path / "digits-1.0.mar", "w") as mar:
            mar.writestr("model-config.yaml", text)
        assert model_config.of_archive(tmp_path / "digits-1.0.mar") == config


@pytest.mark.parametrize(
    ("key", "near"), [("batchsize", "batchSize"), ("batch_size", "batchSize"), ("minWorker", "minWorkers")]
)
def test_a_misspelt_key_is_answered_with_the_right_one(path: Path, key: str, near: str) -> None:
    with pytest.raises(ConfigError, match=rf"mine\.yaml: unknown key '{key}': did you mean {near}\?"):
        load(path, f"{key}: 1\n")


def test_a_key_like_no_other_is_answered_with_all_there_are(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'color': there are minWorkers, .*, handler$"):
        load(path, "color: red\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("batchSize: 0", "batchSize: .*greater than or equal to 1.*it is 0"),
        ("batchSize: 1025", "batchSize: .*less than or equal to 1024.*it is 1025"),
        ("batchSize: many", "batchSize: .*valid integer.*it is 'many'"),
        ("batchSize:", "batchSize: .*valid integer.*it is None"),
        ("maxBatchDelay: 0", "maxBatchDelay: .*it is 0"),
        ("responseTimeout: 1.5", "responseTimeout: .*it is 1.5"),
        ("deviceType: tpu", "deviceType: .*'cpu' or 'gpu'.*it is 'tpu'"),
        ("minWorkers: 3\nmaxWorkers: 2", "minWorkers is 3, and must not exceed maxWorkers, which is 2"),
        ("batchSize: 0\njobQueueSize: 0", "batchSize: .*; jobQueueSize: "),
    ],
)
def test_a_value_out_of_range_is_named_with_its_key(path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        load(path, text)
    assert str(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["- batchSize", "batchSize", "5"])
def test_yaml_that_is_not_a_mapping_is_refused_with_an_example(path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="must hold `key: value` lines, such as `batchSize: 8`"):
        load(path, text)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe"])
def test_invalid_yaml_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.yaml: not YAML"):
        model_config.load(path)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml: cannot be read \(No such file or directory\)"):
        model_config.load(path)


def test_limits_of_a_request_go_to_the_handler_as_far_as_they_are_named(path: Path) -> None:
    config = load(path, "handler: {limits: {max_pixels: 50000000}}")
    assert yaml.safe_load(config.to_yaml())["handler"] == {"limits": {"max_pixels": 50_000_000}}
    assert "handler" not in yaml.safe_load(ModelConfig().to_yaml())


def test_a_policy_goes_to_the_handler_as_far_as_it_is_named(path: Path) -> None:
    for policy in ({"max_set_size": 2}, {"max_set_size": None, "min_probability": 0.7}, {"out_of_distribution": False}):
        config = load(path, yaml.safe_dump({"handler": {"policy": policy}}))
        assert yaml.safe_load(config.to_yaml())["handler"] == {"policy": policy}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("handler: {limits: {max_pixel: 5}}", r"unknown key 'handler\.limits\.max_pixel': did you mean max_pixels\?"),
        ("handler: {limits: {max_pixels: 0}}", "handler.limits.max_pixels: .*greater than or equal to 1"),
        ("handler: {limits: {max_answer_bytes: 70000000}}", "handler.limits.max_answer_bytes: .*24000000"),
        ("handler: {limit: {}}", r"unknown key 'handler\.limit': did you mean limits\?"),
        ("handler: {policy: {max_set_size: 0}}", "handler.policy.max_set_size: .*greater than or equal to 1"),
        ("handler: {policy: {max_size: 2}}", r"unknown key 'handler\.policy\.max_size': did you mean max_set_size\?"),
    ],
)
def test_a_limit_or_policy_that_cannot_be_is_named(path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(path, text)


def test_a_release_has_the_settings_that_lie_in_it(tmp_path: Path) -> None:
    assert model_config.of_release(tmp_path) == ModelConfig()
    (tmp_path / "model-config.yaml").write_text("batchSize: 8\n")
    assert model_config.of_release(tmp_path).batchSize == 8
