from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from serving.torchserve import executables, process, start_worker
from serving.torchserve.process import LogReader
from serving.torchserve.registrations import Registration
from serving.torchserve.worker_roles import Role

PARTS = [
    Registration("digits", "2.0", "digits-2.0.mar", None, 16, 3),
    Registration("digits-explain", "2.0", "digits-2.0.mar", 2, 1, 3, Role.EXPLAIN),
]
DIED = """\
2026-11-23T23:46:36,015 INFO  MODEL_LOG - Backend worker process died.
2026-11-23T23:46:36,015 INFO  MODEL_LOG - Traceback (most recent call last):
2026-11-23T23:46:36,015 INFO  MODEL_LOG -   File "x.py", line 1
2026-11-23T23:46:36,015 INFO  MODEL_LOG -     raise GoldenError("an Error: in the source")
2026-11-23T23:46:36,015 INFO  MODEL_LOG - handlers.golden_answers.GoldenError: golden image 00.png: class '0' is off
2026-11-23T23:46:36,021 WARN  BatchAggregator - Load model failed: bad, error: Worker died.
"""
TRUNCATED = """\
2026-11-23T23:46:59,979 WARN  ModelServer - Failed to load model: trunc-1.0.mar
java.util.zip.ZipException: unexpected EOF
\tat java.base/java.util.zip.ZipFile$Source.zerror(ZipFile.java:1769)
java.lang.IllegalStateException: something that follows from it
"""
CHAINED = """\
2026-11-23T23:46:36,015 INFO  MODEL_LOG - Traceback (most recent call last):
2026-11-23T23:46:36,015 INFO  MODEL_LOG - KeyError: 'first'
2026-11-23T23:46:36,015 INFO  MODEL_LOG - During handling of the above exception, another exception occurred:
2026-11-23T23:46:36,015 INFO  MODEL_LOG - Traceback (most recent call last):
2026-11-23T23:46:36,015 INFO  MODEL_LOG - models.card.CardError: card.yaml: no such file
"""
HEALTHY = """\
2026-11-23T23:46:30,100 INFO  ModelServer - Torch Serve model server started.
2026-11-23T23:46:31,100 INFO  MODEL_LOG - Torch worker started.
2026-11-23T23:46:31,100 WARN  MODEL_LOG - UserWarning: an Error: this is not
2026-11-23T23:46:33,100 INFO  WorkerThread - Backend response time: 1200
"""


def read(log: str) -> LogReader:
    reader = LogReader()
    for line in log.splitlines():
        reader.feed(line)
    return reader


def test_python_error_of_a_worker_is_the_reason() -> None:
    reader = read(DIED)
    assert reader.error == "handlers.golden_answers.GoldenError: golden image 00.png: class '0' is off"
    assert reader.failed


def test_worker_that_died_has_failed_before_its_reason_is_known() -> None:
    reader = read(DIED.splitlines()[0])
    assert (reader.failed, reader.error) == (True, None)


def test_damaged_archive_is_named_with_javas_words() -> None:
    reader = read(TRUNCATED)
    assert reader.error == "trunc-1.0.mar: java.util.zip.ZipException: unexpected EOF"
    assert reader.failed


def test_port_that_is_taken_is_javas_error() -> None:
    reader = read("java.io.IOException: Failed to bind to address: http://127.0.0.1:8085")
    assert reader.error == "java.io.IOException: Failed to bind to address: http://127.0.0.1:8085"


def test_last_error_of_a_chain_counts() -> None:
    assert read(CHAINED).error == "models.card.CardError: card.yaml: no such file"


def test_worker_error_is_not_hidden_by_torchserves_own() -> None:
    caught = "2026-11-23T23:46:36,015 INFO  MODEL_LOG - Failed to load model digits, exception weights: cut short\n"
    assert read(caught + DIED).error == "weights: cut short"


def test_python_error_is_not_replaced_by_a_java_error() -> None:
    assert read(DIED + "java.lang.IllegalStateException: worker\n").error == read(DIED).error


def test_healthy_log_has_no_error() -> None:
    reader = read(HEALTHY)
    assert (reader.failed, reader.error) == (False, None)


def test_log_reader_ignores_other_text() -> None:
    reader = read("\n\x00\n   \nError\nnot a log line\n2026 INFO\n")
    assert (reader.failed, reader.error) == (False, None)


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    parts = [Registration("digits", version, f"digits-{version}.mar", 1, 32, 1) for version in ("2.0", "1.0")]
    properties = {"vmargs": '-Xmx1g -Dname="two words"', "model_store": "model_store"}
    return process.command(tmp_path / "config.properties", properties, parts, tmp_path)


def test_java_command_has_the_settings(line: list[str], tmp_path: Path) -> None:
    assert Path(line[0]).name == "java"
    assert "-Xmx1g" in line
    assert "-Dname=two words" in line
    assert f"-Djava.io.tmpdir={tmp_path}" in line
    assert line[line.index("-f") + 1] == str(tmp_path / "config.properties")
    assert line[line.index("--python") + 1] == str(tmp_path / start_worker.FILE_NAME)
    assert "-ncs" in line


def cache_flags(tmp_path: Path, recorded: Path | None = None) -> list[str]:
    line = process.command(tmp_path / "config.properties", {"model_store": "x"}, PARTS, tmp_path, recorded=recorded)
    return [flag for flag in line if flag.startswith("-XX:AOT")]


def test_java_command_uses_an_existing_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "java.aot"
    monkeypatch.setattr(executables, "java_cache", lambda java: cache)
    assert cache_flags(tmp_path) == []
    cache.write_bytes(b"")
    assert cache_flags(tmp_path) == [f"-XX:AOTCache={cache}"]
    monkeypatch.setattr(executables, "java_cache", lambda java: None)
    assert cache_flags(tmp_path) == []


def test_java_command_that_records_a_cache_uses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "java.aot"
    cache.write_bytes(b"")
    monkeypatch.setattr(executables, "java_cache", lambda java: cache)
    assert cache_flags(tmp_path, tmp_path / "new.aot") == [f"-XX:AOTCacheOutput={tmp_path / 'new.aot'}"]


def test_first_archive_of_the_command_becomes_the_default(line: list[str]) -> None:
    assert line[line.index("-m") + 1 :] == ["digits=digits-2.0.mar", "digits=digits-1.0.mar"]


def test_command_names_an_archive_for_each_registration(tmp_path: Path) -> None:
    line = process.command(tmp_path / "config.properties", {"model_store": "x"}, PARTS, tmp_path)
    assert line[line.index("-m") + 1 :] == ["digits=digits-2.0.mar", "digits-explain=digits-2.0.mar"]


def test_models_property_has_the_settings_of_each_registration() -> None:
    batch = {"maxBatchDelay": 3}
    assert json.loads(process.models(PARTS)) == {
        "digits": {"2.0": batch | {"batchSize": 16}},
        "digits-explain": {"2.0": batch | {"batchSize": 1, "minWorkers": 2, "maxWorkers": 2}},
    }


def test_log_settings_exist() -> None:
    assert process.LOG_CONFIG.is_file()


def test_environment_has_neither_pythonpath_nor_torchserve_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("TS_CONFIG_FILE", "/elsewhere/config.properties")
    monkeypatch.setenv("KEPT", "yes")
    environment = process.environment(tmp_path, threads=3)
    assert [name for name in environment if name == "PYTHONPATH" or name.startswith("TS_")] == []
    assert (environment["KEPT"], environment["OMP_NUM_THREADS"], environment["OMP_WAIT_POLICY"]) == (
        "yes",
        "3",
        "passive",
    )
    assert environment["TMPDIR"] == str(tmp_path)
    assert os.environ["PYTHONPATH"] == "/elsewhere"
