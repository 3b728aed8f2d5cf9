"""Clients that code generators make of deploy/openapi.json are complete, and their calls are answered."""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from serving.web.documents import OPENAPI
from tests.support import docker_host
from tests.support.server import Server

SOURCES = Path(__file__).parent / "typescript"
TSC = ("npx", "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--outDir", "out")


def operations() -> set[str]:
    """The ids of all operations of the description."""
    paths = json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"]
    return {item[method]["operationId"] for item in paths.values() for method in item if method != "parameters"}


def run(*command: str, folder: Path, path: str = "") -> str:
    """The output of a program that must succeed."""
    environment = {**os.environ, "PATH": path + os.pathsep + os.environ["PATH"]}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a package `generated_client`, made by openapi-python-client."""
    folder = tmp_path_factory.mktemp("python")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(OPENAPI), "--meta", "none"]
    # Its last step formats the package with ruff.
    path = str(Path(sys.executable).parent)
    output = run(*command, "--output-path", "generated_client", folder=folder, path=path)
    assert output.split("\n", 1)[0].startswith("Generating")
    assert not re.search("warning|error|skipp|unable", output, re.IGNORECASE), output
    return folder / "generated_client"


def test_python_client_has_every_operation(generated: Path) -> None:
    modules = {path.stem.replace("_", "") for path in (generated / "api").glob("*/*.py")} - {"init"}
    assert modules == {operation.lower() for operation in operations()}


def test_python_client_gets_typed_answers(
    generated: Path, server: Server, digit: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(generated.parent))
    package = importlib.import_module("generated_client")
    models, types = (importlib.import_module(f"generated_client.{name}") for name in ("models", "types"))

    def operation(name: str) -> ModuleType:
        (module,) = (generated / "api").glob(f"*/{name}.py")
        return importlib.import_module(f"generated_client.api.{module.parent.name}.{name}")

    def file(content: bytes) -> Any:
        return types.File(payload=io.BytesIO(content), file_name="digit.png", mime_type="image/png")

    with package.Client(base_url=server.url) as client:
        one = operation("predict").sync("digits", client=client, body=file(digit["3"]), top_k=2)
        form = models.PredictFilesBody(image=[file(digit["3"]), file(digit["5"])])
        several = operation("predict").sync("digits", client=client, body=form)
        instances = models.PredictV1(instances=[base64.b64encode(digit["6"]).decode()])
        kserve = operation("predict_v1_version").sync("digits", "1.0", client=client, body=instances)
        why = operation("explain").sync("digits", client=client, body=file(digit["3"]), contrast="3,5")
        refused = operation("predict").sync("digits", client=client, body=file(b"no image"))
        ready = operation("server_ready").sync(client=client)
    assert isinstance(one, models.PredictedImage)
    assert one.predictions[0].label == "3"
    assert (one.model, one.version, len(one.predictions)) == ("digits", "1.0", 2)
    assert isinstance(several, models.PredictedImages)
    assert [result.predictions[0].label for result in several.results] == ["3", "5"]
    assert isinstance(kserve, models.PredictedV1)
    assert kserve.predictions[0].predictions[0].label == "6"
    assert isinstance(why, models.ExplainedImage)
    assert (why.target.label, why.contrast.label) == ("3", "5")
    assert isinstance(refused, models.Error)
    assert (refused.code, refused.type_.value) == (415, "UnsupportedImage")
    assert ready.ready is True


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the types that openapi-typescript made, and with the packages of typescript/package.json."""
    docker_host.install({"node": "nodejs", "npm": "npm"})
    package = (SOURCES / "package.json").read_bytes()
    packages = docker_host.cache() / f"npm-{hashlib.sha256(package).hexdigest()[:16]}"
    if not (packages / "complete").exists():
        packages.mkdir(exist_ok=True)
        (packages / "package.json").write_bytes(package)
        run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", folder=packages)
        (packages / "complete").touch()
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(packages / "node_modules")
    for source in SOURCES.iterdir():
        shutil.copy(source, folder)
    run("npx", "openapi-typescript", str(OPENAPI), "-o", "api.ts", folder=folder)
    return folder


def test_typescript_types_have_every_operation(typescript: Path) -> None:
    _, heading, text = (typescript / "api.ts").read_text(encoding="utf-8").partition("export interface operations {")
    assert heading
    assert set(re.findall(r"^    (\w+): \{$", text, re.MULTILINE)) == operations()


def test_typescript_client_is_type_checked_and_answered(
    typescript: Path, server: Server, digit: dict[str, bytes]
) -> None:
    run(*TSC, "use.ts", folder=typescript)
    image = base64.b64encode(digit["3"]).decode()
    answer = json.loads(run("node", "out/use.js", server.url, image, folder=typescript))
    assert (answer["model"], answer["labels"][0], len(answer["labels"])) == ("digits", "3", 2)
    assert answer["refused"] == "ModelNotFound"


def test_typescript_finds_an_option_of_the_wrong_type(typescript: Path) -> None:
    wrong = (typescript / "use.ts").read_text(encoding="utf-8").replace("top_k: 2", 'top_k: "two"')
    (typescript / "wrong.ts").write_text(wrong, encoding="utf-8")
    done = subprocess.run([*TSC, "--noEmit", "wrong.ts"], cwd=typescript, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "wrong.ts" in done.stdout
    assert "'string' is not assignable to type 'number'" in done.stdout
