"""AWS's own client, boto3, asks the proxy as it would ask a SageMaker endpoint.

boto3 wants an older python-dateutil than the project has, so it lies in a folder of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_host import cache
from tests.support.stub_backend import TOKEN, ProxyClient, running_proxy

REQUIREMENT = "boto3==1.44.8"
CLIENT = """
import json, sys
import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

url, token = sys.argv[1:]
config = Config(retries={"total_max_attempts": 1}, **({"signature_version": UNSIGNED} if token else {}))
client = boto3.client(
    "sagemaker-runtime", endpoint_url=url, region_name="us-east-1", config=config,
    aws_access_key_id="any", aws_secret_access_key="any",
)
if token:
    def authorize(request, **more):
        request.headers["Authorization"] = f"Bearer {token}"
    client.meta.events.register("before-send.sagemaker-runtime", authorize)
for call in json.load(sys.stdin):
    try:
        answer = client.invoke_endpoint(Body=b"an image", **call)
        seen = {name: answer.get(name) for name in ("ContentType", "InvokedProductionVariant")}
        print(json.dumps({**seen, "body": answer["Body"].read().decode()}))
    except ClientError as error:
        print(json.dumps({"class": type(error).__name__, "message": error.response["Error"]["Message"]}))
"""


@pytest.fixture(scope="module")
def boto3() -> Path:
    """A folder with boto3 and what it needs, kept for the next run."""
    folder = cache() / REQUIREMENT
    if not (folder / "boto3").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, REQUIREMENT]
        subprocess.run(command, check=True, timeout=300)
    return folder


def invoke(boto3: Path, proxy: ProxyClient, *calls: dict[str, str], token: str = "") -> list[dict[str, Any]]:
    """Send these calls with boto3, signed unless there is a token; returns what came of each."""
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, proxy.url, token],
        input=json.dumps(calls),
        env={**os.environ, "PYTHONPATH": str(boto3)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


IMAGE = {"EndpointName": "digits", "ContentType": "image/png", "Accept": "application/json"}
ANSWER = {"ContentType": "application/json", "InvokedProductionVariant": "1.0", "body": "{}"}


def test_boto3_invokes_a_model_by_the_name_of_its_endpoint(boto3: Path) -> None:
    with running_proxy() as proxy:
        proxy.script.headers = {"X-Model-Version": "1.0", "Content-Type": "application/json"}
        plain, by_variant, by_model, explained, nothing, other = invoke(
            boto3,
            proxy,
            IMAGE,
            {**IMAGE, "TargetVariant": "1.0"},
            {**IMAGE, "EndpointName": "any", "TargetModel": "digits.tar.gz"},
            {**IMAGE, "CustomAttributes": "explain=true;top_k=1"},
            {**IMAGE, "EndpointName": "nothing"},
            {**IMAGE, "TargetVariant": "9.9"},
        )
        asked = proxy.script.asked
    assert plain == by_variant == by_model == explained == ANSWER
    assert asked == ["/predictions/digits/1.0"] * 3 + ["/explanations/digits/1.0"]
    assert nothing == {"class": "ValidationError", "message": 'model "nothing" is not served here'}
    assert other["class"] == "ValidationError"


def test_boto3_sends_a_token_in_place_of_a_signature(boto3: Path) -> None:
    with running_proxy(tokens=True) as proxy:
        proxy.script.headers = {"X-Model-Version": "1.0", "Content-Type": "application/json"}
        assert invoke(boto3, proxy, IMAGE, token=TOKEN) == [ANSWER]
        (signed,) = invoke(boto3, proxy, IMAGE)
        (wrong,) = invoke(boto3, proxy, IMAGE, token="wrong")
    assert signed["class"] == wrong["class"] == "ValidationError"
    assert "Authorization: Bearer" in signed["message"]


def test_boto3_raises_what_it_knows_when_the_model_is_busy(boto3: Path) -> None:
    with running_proxy() as proxy:
        proxy.script.status = 503
        assert [answer["class"] for answer in invoke(boto3, proxy, IMAGE)] == ["ServiceUnavailable"]
        proxy.script.status = 500
        assert [answer["class"] for answer in invoke(boto3, proxy, IMAGE)] == ["InternalFailure"]
