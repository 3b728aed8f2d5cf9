"""TorchServe's own ports give nothing to another user of this machine, nor to a web page in the user's browser.

The tests run in development mode, where clients need no token. The management API can load code from any folder.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
import requests

from tests.support.server import Server

HANDLER = "from pathlib import Path\nPath({proof!r}).touch()\n\n\ndef handle(data, context):\n    return data\n"
REFUSED = "Token Authorization failed"


@pytest.fixture
def malice(tmp_path: Path) -> Path:
    """A folder whose handler writes a file when it is loaded."""
    folder = tmp_path / "malice"
    (folder / "MAR-INF").mkdir(parents=True)
    manifest = '{"model": {"modelName": "malice", "modelVersion": "1.0", "handler": "handler.py"}, "runtime": "python"}'
    (folder / "MAR-INF" / "MANIFEST.json").write_text(manifest)
    (folder / "handler.py").write_text(HANDLER.format(proof=str(tmp_path / "proof")))
    return folder


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/models?url={malice}&initial_workers=1&synchronous=true"),
        ("DELETE", "/models/digits/1.0"),
        ("PUT", "/models/digits?min_worker=0&max_worker=0"),
        ("PUT", "/models/digits/1.0/set-default"),
        ("GET", "/models"),
        ("GET", "/models/digits?customized=true"),
        ("POST", "/workflows?url={malice}"),
        ("GET", "/workflows"),
        ("DELETE", "/workflows/none"),
        ("GET", "/token?type=management"),
        ("GET", "/token?type=inference"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Origin": "https://example.org"}])
def test_management_without_the_token_is_refused(
    server: Server, malice: Path, method: str, path: str, headers: dict[str, str]
) -> None:
    url = server.management + path.format(malice=malice)
    answer = requests.request(method, url, headers=headers, timeout=30)
    assert answer.status_code == 400
    assert "token" in answer.json()["message"].lower()
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert not (malice.parent / "proof").exists()


def test_the_inference_token_does_not_open_the_management_api(server: Server, malice: Path) -> None:
    url = f"{server.management}/models?url={malice}"
    assert requests.post(url, headers=server.key("inference"), timeout=30).status_code == 400


@pytest.mark.parametrize("path", ["/predictions/digits", "/explanations/digits", "/invocations", "/ping"])
def test_inference_without_the_token_is_refused(server: Server, digit: dict[str, bytes], path: str) -> None:
    answer = requests.post(server.direct + path, data=digit["3"], headers={"Content-Type": "image/png"}, timeout=30)
    assert answer.status_code == 400
    assert REFUSED in answer.json()["message"]


@pytest.mark.parametrize(
    ("port", "method"),
    [
        ("grpc_management", "org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel"),
        ("grpc_management", "org.pytorch.serve.grpc.management.ManagementAPIsService/UnregisterModel"),
        ("grpc_management", "org.pytorch.serve.grpc.management.ManagementAPIsService/ScaleWorker"),
        ("grpc_management", "org.pytorch.serve.grpc.management.ManagementAPIsService/SetDefault"),
        ("grpc_management", "org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels"),
        ("grpc_management", "org.pytorch.serve.grpc.management.ManagementAPIsService/DescribeModel"),
        ("grpc_inference", "org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"),
        ("grpc_inference", "org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions"),
    ],
)
def test_grpc_without_the_token_is_refused(server: Server, port: str, method: str) -> None:
    """An empty message says enough: the token is looked at first."""
    with grpc.insecure_channel(f"127.0.0.1:{getattr(server.ports, port)}") as channel:
        call = channel.unary_unary(f"/{method}")
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", timeout=10)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert REFUSED in refused.value.details()
