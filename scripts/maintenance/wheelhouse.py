"""Collect the wheels of what serving needs into wheelhouse/, so that the image builds without a network.

They are those of the image's Python and of this machine's processor, whatever Python this command runs on.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts import setup
from scripts.command import command
from serving.errors import DockerError

ROOT = Path(__file__).resolve().parents[2]
# Of the Dockerfile's default base image.
PYTHON = "3.11"
GLIBC = ("2_28", "2_27", "2_17", "2_12", "2_5")


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and collect."""
    parser = argparse.ArgumentParser(prog="python -m scripts.maintenance.wheelhouse", description=__doc__)
    parser.add_argument("--torch", help="which torch, such as torch==2.13.0+cpu (default: the pinned one)")
    parser.add_argument("--python", default=PYTHON, help=f"of the image (default: {PYTHON})")
    parser.add_argument("--into", type=Path, default=ROOT / "wheelhouse", help="folder (default: wheelhouse)")
    arguments = parser.parse_args(argv)
    if sys.platform != "linux":
        raise DockerError("the wheels are those of Linux, which pip chooses on Linux alone: run this there")
    collect(arguments.into, arguments.torch, arguments.python)
    wheels = list(arguments.into.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels)
    print(f"{arguments.into}: {len(wheels)} wheels, {size / 1e6:.0f} MB")


def collect(folder: Path, torch: str | None = None, python: str = PYTHON) -> None:
    """Fill the folder with the versions of constraints.txt; wheels of other versions go.

    Args:
        torch: a requirement in place of the pinned one.

    Raises:
        DockerError: pip found no wheel for something; its own words were printed.
    """
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = next(line for line in constraints if line.startswith("torch=="))
    machine = platform.machine()
    platforms = [f"--platform=manylinux_{version}_{machine}" for version in GLIBC]
    platforms += [f"--platform=manylinux{year}_{machine}" for year in (2014, 2010, 1)]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wheelhouse-") as fresh:
        others = Path(fresh) / "constraints.txt"
        others.write_text("\n".join(line for line in constraints if line != pinned), encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--only-binary=:all:", f"--python-version={python}", "--implementation=cp", *platforms),
                *(f"--find-links={folder}", f"--dest={fresh}", f"--constraint={others}"),
                *(*setup.wanted([]), torch or pinned),
            ]
        )
        if done.returncode != 0:
            raise DockerError("the wheels were not collected: the lines above are pip's and say why")
        for old in folder.glob("*.whl"):
            old.unlink()
        for wheel in Path(fresh).glob("*.whl"):
            wheel.replace(folder / wheel.name)


if __name__ == "__main__":
    main()
