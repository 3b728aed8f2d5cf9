"""Collect the wheels that serving needs into wheelhouse/, so that the Docker image builds without a network.

The wheels are for the Docker image's Python and this machine's processor. This command itself runs on any Python.

For example:

    torchlight maintenance wheelhouse --torch torch==2.13.0+cpu
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts import cli, setup
from serving.errors import DockerError

ROOT = Path(__file__).resolve().parents[2]
# Python of the Dockerfile's default base image.
PYTHON = "3.11"
GLIBC = ("2_28", "2_27", "2_17", "2_12", "2_5")


def main(*, torch: str | None = None, python: str = PYTHON, into: Path = ROOT / "wheelhouse") -> None:
    """Collect the wheels and print their size.

    Args:
        torch: requirement for torch, such as torch==2.13.0+cpu (default: the pinned version)
        python: Python of the Docker image
        into: folder for the wheels
    """
    if sys.platform != "linux":
        raise DockerError("pip selects wheels for Linux only on Linux: run this command there")
    collect(into, torch, python)
    wheels = list(into.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels)
    print(f"{into}: {len(wheels)} wheels, {size / 1e6:.0f} MB")


def collect(folder: Path, torch: str | None = None, python: str = PYTHON) -> None:
    """Fill the folder with the versions of constraints.txt, and remove wheels of other versions.

    Args:
        torch: a requirement instead of the pinned version.

    Raises:
        DockerError: pip did not find all wheels. It has printed its error.
    """
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = next(line for line in constraints if line.startswith("torch=="))
    machine = platform.machine()
    platforms = [f"--platform=manylinux_{version}_{machine}" for version in GLIBC]
    platforms += [f"--platform=manylinux{year}_{machine}" for year in (2014, 2010, 1)]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wheelhouse-") as fresh:
        constraints_file = Path(fresh) / "constraints.txt"
        constraints_file.write_text("\n".join(line for line in constraints if line != pinned), encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--only-binary=:all:", f"--python-version={python}", "--implementation=cp", *platforms),
                *(f"--find-links={folder}", f"--dest={fresh}", f"--constraint={constraints_file}"),
                *(*setup.requirements_of([]), torch or pinned),
            ]
        )
        if done.returncode != 0:
            raise DockerError("the wheels were not collected: the lines of pip above say why")
        for old in folder.glob("*.whl"):
            old.unlink()
        for wheel in Path(fresh).glob("*.whl"):
            wheel.replace(folder / wheel.name)


if __name__ == "__main__":
    cli.run("maintenance", "wheelhouse")
