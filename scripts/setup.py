"""Make .venv with everything that Torchlight needs, from wheels only. Does nothing if nothing has changed.

Every Python since 3.6 can read this file, so that it can report a Python that is too old.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "torchlight-setup.json")
OLDEST = (3, 11)
# With a CPU build of torch, .venv needs 1.7 GB, and pip needs space to unpack wheels.
NEEDED_BYTES = 3 * 10**9

# The command .venv/bin/torchlight. Its first lines make a shell run it by the Python beside it, whose path may have
# spaces. The project is not installed: the launcher finds it two folders above its own.
LAUNCHER = """\
#!/bin/sh
'''exec' "$(dirname "$(readlink -f "$0")")/python" "$0" "$@"
' '''
import os
import sys

launcher = os.path.abspath(__file__)
while os.path.islink(launcher):
    launcher = os.path.join(os.path.dirname(launcher), os.readlink(launcher))
sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(launcher)))

if __name__ == "__main__":
    from scripts.cli import main

    main()
"""

# Words in pip's output, and the remedy for each problem outside of this project.
REMEDIES = [
    (("No space left on device", "Errno 28"), "the disk is full: free 3 GB where {root} lies and under {temp}"),
    (("externally-managed", "Permission denied", "Errno 13"), "{root} cannot be written: run it as its owner"),
    (
        ("NewConnectionError", "Name or service not known", "name resolution", "ProxyError", "ConnectTimeout",
         "Read timed out", "Network is unreachable", "Connection refused", "from versions: none",
         "ResolutionImpossible"),
        "pip reaches no package index that has what constraints.txt pins: check the network, or PIP_INDEX_URL and "
        "HTTPS_PROXY; wheels that were downloaded are kept",
    ),
]  # fmt: skip


def fail(message: str) -> None:
    """Exit with an error of one sentence."""
    sys.exit("error: " + message)


def requirements_of(extras: list) -> list:  # type: ignore[type-arg]
    """Return the requirements of pyproject.toml with these extras."""
    import tomllib

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    requirements = list(project["dependencies"])
    for extra in extras:
        if extra not in project["optional-dependencies"]:
            fail(
                "extra {!r} is not in pyproject.toml: it has {}".format(
                    extra, ", ".join(project["optional-dependencies"])
                )
            )
        requirements += project["optional-dependencies"][extra]
    return requirements


def fingerprint(requirements: list) -> str:  # type: ignore[type-arg]
    """Return a digest that changes when .venv must be updated."""
    digest = hashlib.sha256(repr((sys.version, VENV, sorted(requirements), "java_cache", "client")).encode())
    with open(os.path.join(ROOT, "constraints.txt"), "rb") as file:
        digest.update(file.read())
    return digest.hexdigest()


def installed() -> dict:  # type: ignore[type-arg]
    """Return the stamp of the last complete set-up."""
    try:
        with open(STAMP) as file:
            stamp = json.load(file)
        return {"extras": list(stamp["extras"]), "fingerprint": stamp["fingerprint"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"extras": []}


def run(command: list) -> None:  # type: ignore[type-arg]
    """Run pip or venv, and print the packages that it fetches. Errors are turned into one sentence."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, universal_newlines=True, env=environment
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(("Collecting ", "Installing ")):
                    print("  " + " ".join(line.split()[:2]).rstrip(":"), flush=True)
        if process.returncode == 0:
            return
        errors.seek(0)
        output = errors.read()
    for words, remedy in REMEDIES:
        if any(word in output for word in words):
            fail(remedy.format(root=ROOT, temp=tempfile.gettempdir()))
    sys.stderr.write(output)
    fail("`{}` failed: the lines above say why".format(" ".join(command[:5])))


def add_client(python: str) -> None:
    """Let Python import torchlight_client from its source folder: a .pth file needs no build, and is never stale."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = subprocess.check_output([python, "-c", code], universal_newlines=True).strip()
    source = os.path.join(ROOT, "clients", "python", "src")
    with open(os.path.join(site_packages, "torchlight_client.pth"), "w") as file:
        file.write(os.path.relpath(source, site_packages) + "\n")


def make_java_cache(python: str) -> None:
    """Make the Java AOT cache (serving/server/java_aot_cache.py). Without it, each start takes 1 s longer."""
    if subprocess.run([python, "-m", "scripts.maintenance.java_cache"], cwd=ROOT).returncode != 0:
        print("  without the Java AOT cache everything works, and a start takes a second longer", flush=True)


def write_launcher() -> None:
    """Write .venv/bin/torchlight, unless it is there."""
    path = os.path.join(VENV, "bin", "torchlight")
    if os.path.exists(path):
        with open(path) as file:
            if file.read() == LAUNCHER:
                return
    with open(path + ".new", "w") as file:
        file.write(LAUNCHER)
    os.chmod(path + ".new", 0o755)
    os.replace(path + ".new", path)


def main() -> None:
    """Set up .venv with the extras that the command line names."""
    if sys.version_info < OLDEST:
        fail(
            "Torchlight needs Python {}.{} or newer, and this is {}.{} ({}): install one and run "
            "`make setup PYTHON=python3.11`".format(*OLDEST, *sys.version_info[:2], sys.executable)
        )
    before = installed()
    extras = sorted({*sys.argv[1:], *before["extras"]})
    digest = fingerprint(requirements_of(extras))
    if before.get("fingerprint") == digest:
        write_launcher()
        return
    if "fingerprint" not in before and shutil.disk_usage(ROOT).free < NEEDED_BYTES:
        free = shutil.disk_usage(ROOT).free / 1e9
        fail("the disk is nearly full: {:.1f} GB are free where {} lies, and 3 GB are needed".format(free, ROOT))
    print("setting up .venv ({}): a few minutes the first time".format(", ".join(["serve", *extras])), flush=True)
    python = os.path.join(VENV, "bin", "python")
    if (
        subprocess.run([python, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode
        if os.path.exists(python)
        else 1
    ):
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            fail("this Python has no venv: install it (on Debian and Ubuntu: apt-get install python3-venv)")
        run([sys.executable, "-m", "venv", "--clear", VENV])
    constraints = os.path.join(ROOT, "constraints.txt")
    run([python, "-m", "pip", "install", "--disable-pip-version-check", "-c", constraints, *requirements_of(extras)])
    write_launcher()
    add_client(python)
    make_java_cache(python)
    with open(STAMP, "w") as file:
        json.dump({"extras": extras, "fingerprint": digest}, file)


if __name__ == "__main__":
    main()
