"""Java's cache of TorchServe: made by a real TorchServe, taken by a real Java."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.errors import Refused
from serving.server import java_aot_cache
from serving.torchserve import executables
from serving.torchserve.process import JAVA_CACHE_FLAGS


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another environment, so that the cache of this one stays."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    return tmp_path / "environment"


def start(cache: Path, *jars: str) -> subprocess.CompletedProcess[str]:
    """A Java that ends with an error where it cannot take its cache (AOTMode=on)."""
    flags = [*JAVA_CACHE_FLAGS, f"-XX:AOTCache={cache}", "-XX:AOTMode=on", "--enable-native-access=ALL-UNNAMED"]
    command = [str(executables.java()), *flags, "-cp", *jars, "org.pytorch.serve.ModelServer", "--no-such-flag"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_recorded_java_cache_is_accepted_by_java(prefix: Path) -> None:
    logged: list[str] = []
    cache = java_aot_cache.make(logged.append)
    assert logged == ["making the Java AOT cache, so that every later start is faster: about 20 s, once"]
    assert cache is not None
    assert cache.is_relative_to(prefix)
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]
    jars = str(executables.torchserve_home() / "ts" / "frontend" / "*")
    accepted = start(cache, jars)
    assert "Unrecognized option: --no-such-flag" in accepted.stderr + accepted.stdout  # which is TorchServe's own
    assert "[aot" not in accepted.stderr + accepted.stdout
    assert "Unable to use AOT cache" in (refused := start(prefix / "none.aot", jars)).stdout + refused.stderr


def test_failed_java_cache_recording_says_why_and_keeps_the_old_cache(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = executables.java_cache(executables.java())
    assert cache is not None
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"before")
    monkeypatch.setattr(java_aot_cache, "HANDLER", "raise RuntimeError('the dog ate it')\n")
    with pytest.raises(Refused, match=r"^recording 1\.0 cannot be loaded: .*the dog ate it"):
        java_aot_cache.make(lambda line: None)
    assert cache.read_bytes() == b"before"
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_java_cache_of_this_environment_was_recorded() -> None:
    cache = executables.java_cache(executables.java())
    assert cache is not None
    assert cache.is_file(), "`make setup` makes it"
