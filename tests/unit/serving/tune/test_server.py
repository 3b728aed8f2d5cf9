from __future__ import annotations

import json
import socket
import zipfile
from pathlib import Path

from serving.artifacts import model_config, store
from serving.artifacts.model_config import ModelConfig
from serving.artifacts.store import Archive
from serving.runtime.instance import FIRST_PORT, free_ports
from serving.tune.server import MANIFEST, with_settings


def test_a_copy_of_an_archive_is_another_version_with_other_settings_and_the_same_model(tmp_path: Path) -> None:
    mar, target = tmp_path / "pets-1.0.mar", tmp_path / "pets-7.mar"
    with zipfile.ZipFile(mar, "w") as out:
        manifest = {"model": {"modelName": "pets", "modelVersion": "1.0", "handler": "torchserve_handler.py"}}
        out.writestr(MANIFEST, json.dumps(manifest))
        out.writestr(model_config.FILE_NAME, ModelConfig().to_yaml())
        out.writestr("weights.safetensors", b"weights")
    with_settings(mar, target, "7", ModelConfig(batchSize=4))
    assert store.checked(Archive(target, "pets", "7"))
    assert model_config.of_archive(target).batchSize == 4
    with zipfile.ZipFile(target) as copy:
        assert copy.read("weights.safetensors") == b"weights"
        assert json.loads(copy.read(MANIFEST))["model"]["handler"] == "torchserve_handler.py"


def test_ports_that_somebody_listens_on_are_passed_over() -> None:
    first = free_ports()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first.management))
        listener.listen()
        assert free_ports().public > first.public
    assert first.public >= FIRST_PORT
