from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from models.card import Limits
from serving.errors import ConfigError
from serving.torchserve import executables, properties


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.properties"


def load(path: Path, text: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    return properties.load(path)


def test_projects_own_file_is_closed_to_the_network() -> None:
    settings = properties.load()
    assert settings["allowed_urls"] == "^$"
    addresses = {key: value for key, value in settings.items() if key.endswith("_address")}
    assert {key for key, value in addresses.items() if "127.0.0.1" not in value} == set()
    assert set(addresses) == {
        *("inference_address", "management_address", "metrics_address"),
        *("grpc_inference_address", "grpc_management_address"),
    }
    assert settings["install_py_dep_per_model"] == "false"
    assert settings["enable_envvars_config"] == "false"


def test_handler_and_the_frontend_accept_the_same_photos() -> None:
    assert int(properties.load()["max_request_size"]) > Limits().max_bytes * 4 / 3  # as base64


def test_handler_refuses_the_answers_that_would_kill_its_worker() -> None:
    assert int(properties.load()["max_response_size"]) > Limits().max_answer_bytes


def test_every_group_of_the_projects_own_settings_begins_with_its_reason() -> None:
    groups = properties.FILE.read_text(encoding="utf-8").strip().split("\n\n")
    assert len(groups) > 3
    assert [group for group in groups if not group.startswith("# ")] == []


def test_torchserve_knows_every_setting_that_is_allowed_here() -> None:
    with zipfile.ZipFile(executables.torchserve_home() / "ts" / "frontend" / "model-server.jar") as jar:
        readers = jar.read("org/pytorch/serve/util/ConfigManager.class")
    readers += (executables.torchserve_home() / "ts" / "model_server.py").read_bytes()
    assert sorted(key for key in properties.KNOWN if key.encode() not in readers) == []


def test_comments_blank_lines_and_spaces_do_not_count(path: Path) -> None:
    assert load(path, "# a\n! b\n\n  job_queue_size = 5 \nvmargs=-Dx=y -Dz\n") == {
        "job_queue_size": "5",
        "vmargs": "-Dx=y -Dz",
    }


def test_misspelt_setting_is_answered_with_line_and_hint(path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"line 2: TorchServe has no setting 'job_queue_sise': did you mean job_queue_size\?$"
    ):
        load(path, "# first\njob_queue_sise=5\n")


def test_unknown_setting_without_similar_ones_gets_no_hint(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TorchServe has no setting 'xyzzy'$"):
        load(path, "xyzzy=5\n")


def test_setting_given_twice_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="line 3: job_queue_size is set twice; remove one of the lines"):
        load(path, "job_queue_size=5\n\njob_queue_size=6\n")


def test_line_without_an_equals_sign_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="line 1: 'job_queue_size 5' is not `key=value`"):
        load(path, "job_queue_size 5\n")


def test_missing_file_is_named(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.properties: cannot be read \(No such file or directory\)"):
        properties.load(path)


def test_binary_file_is_named(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"config\.properties"):
        properties.load(path)


def test_properties_read_back_as_written(path: Path) -> None:
    assert load(path, properties.render(properties.load())) == properties.load()
