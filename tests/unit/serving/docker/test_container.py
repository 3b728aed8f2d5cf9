"""Requests to Docker, as the SDK sends them, and the sentences for its errors. No daemon is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from docker.errors import APIError, ImageNotFound

from serving.docker import container, errors, image
from serving.docker.container import ContainerOptions
from serving.errors import DockerError
from serving.proxy import cors
from serving.server.draining import DRAIN_SECONDS
from serving.server.supervisor import JAVA_STOP_SECONDS

REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> docker.APIClient:
    """The SDK's own encoder. With its version given it talks to nobody."""
    return docker.APIClient(base_url="unix:///nowhere/docker.sock", version="1.41")


def request(api: docker.APIClient, settings: ContainerOptions) -> dict[str, Any]:
    """The body of `POST /containers/create`."""
    sent: list[dict[str, Any]] = []
    api.create_container_from_config = lambda config, name, platform: sent.append({**config, "name": name})
    host_config = api.create_host_config(**container.host_arguments(settings))
    api.create_container(**container.create_arguments(settings), host_config=host_config)
    return sent[0]


def from_compose(service: dict[str, Any], state: str) -> ContainerOptions:
    """ContainerOptions that say of a service what it says of itself, as far as those can differ."""
    devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices")
    assert devices in (None, [{"capabilities": ["gpu"], "count": "all"}])
    host, port = service["ports"][0]["host_ip"], service["ports"][0]["published"]
    assert state == container.name(int(port)) == service["container_name"]
    return ContainerOptions(
        store=REPOSITORY / service["volumes"][0]["source"],
        image=service["image"],
        host=host,
        port=int(port),
        production=service["command"][1] == "production",
        gpus=None if devices is None else (),
        memory=service["mem_limit"],
        cors_origins=cors.parse(service["command"][3]),
    )


def compose(**variables: str) -> dict[str, Any]:
    """compose.yaml with `${NAME:-default}` filled in."""
    text = (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")
    filled = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: variables.get(match[1], match[2]), text)
    compose_file: dict[str, Any] = yaml.safe_load(filled)
    return compose_file


@pytest.mark.parametrize(
    ("service", "variables", "expected"),
    [
        ("torchlight", {}, ContainerOptions(store=REPOSITORY / "model_store")),
        ("torchlight-gpu", {}, ContainerOptions(store=REPOSITORY / "model_store", gpus=())),
        (
            "torchlight",
            {
                "HOST": "::",
                "PORT": "9000",
                "MODE": "production",
                "MEMORY": "8g",
                "TAG": "mine:2",
                "CORS_ORIGINS": "https://a.example,https://b.example",
            },
            ContainerOptions(
                store=REPOSITORY / "model_store",
                image="mine:2",
                host="::",
                port=9000,
                production=True,
                memory="8g",
                cors_origins=("https://a.example", "https://b.example"),
            ),
        ),
    ],
)
def test_compose_launches_the_same_thing(
    api: docker.APIClient, service: str, variables: dict[str, str], expected: ContainerOptions
) -> None:
    document = compose(**variables)
    composed = document["services"][service]
    assert from_compose(composed, document["volumes"]["state"]["name"]) == expected
    sent = request(api, expected)
    host = sent["HostConfig"]
    ((port, (binding,)),) = host["PortBindings"].items()
    volumes = [{key: value for key, value in volume.items() if key != "bind"} for volume in composed["volumes"]]
    sources = {"./model_store": str(expected.store), "state": sent["name"]}
    assert {
        "image": composed["image"],
        "command": composed["command"],
        "environment": [entry for entry in composed["environment"] if "=" in entry],
        "ports": composed["ports"],
        "mounts": [(v["type"], sources[v["source"]], v["target"], v.get("read_only", False)) for v in volumes],
        "read_only": composed["read_only"],
        "tmpfs": dict(entry.split(":", 1) for entry in composed["tmpfs"]),
        "cap_drop": composed["cap_drop"],
        "security_opt": composed["security_opt"],
        "memory": [docker.utils.parse_bytes(composed[key]) for key in ("mem_limit", "memswap_limit")],
        "pids_limit": composed["pids_limit"],
        "restart": composed["restart"],
        "stop": composed["stop_grace_period"],
        "logging": composed["logging"],
        "gpus": bool(composed.get("deploy")),
    } == {
        "image": sent["Image"],
        "command": sent["Cmd"],
        "environment": sent["Env"] or [],
        "ports": [
            {
                "target": int(port.removesuffix("/tcp")),
                "published": binding["HostPort"],
                "host_ip": binding["HostIp"],
            }
        ],
        "mounts": [(m["Type"], m["Source"], m["Target"], m["ReadOnly"]) for m in host["Mounts"]],
        "read_only": host["ReadonlyRootfs"],
        "tmpfs": host["Tmpfs"],
        "cap_drop": host["CapDrop"],
        "security_opt": host["SecurityOpt"],
        "memory": [host["Memory"], host["MemorySwap"]],
        "pids_limit": host["PidsLimit"],
        "restart": host["RestartPolicy"]["Name"],
        "stop": f"{sent['StopTimeout']}s",
        "logging": {"driver": host["LogConfig"]["Type"], "options": host["LogConfig"]["Config"]},
        "gpus": bool(host.get("DeviceRequests")),
    }


def test_every_compose_key_is_compared() -> None:
    """A new key in compose.yaml has to find its way into the comparison above, and into the launch."""
    compared = "image container_name build command environment ports volumes read_only tmpfs cap_drop security_opt "
    compared += "mem_limit memswap_limit pids_limit restart stop_grace_period logging deploy profiles"
    for service in compose()["services"].values():
        assert set(service) <= set(compared.split())


@pytest.mark.parametrize(
    ("gpus", "requests"),
    [
        (None, None),
        ((), [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]),
        (("0", "1"), [{"Driver": "", "Count": 0, "DeviceIDs": ["0", "1"], "Capabilities": [["gpu"]], "Options": {}}]),
    ],
)
def test_gpus_are_asked_for_as_docker_run_does(
    api: docker.APIClient, gpus: tuple[str, ...] | None, requests: list[dict[str, Any]] | None
) -> None:
    sent = request(api, ContainerOptions(gpus=gpus))
    assert (sent["HostConfig"].get("DeviceRequests") or None) == requests
    assert ("NVIDIA_VISIBLE_DEVICES=void" in (sent["Env"] or [])) == (gpus is None)


def test_the_stop_outlasts_the_drain() -> None:
    assert container.STOP_SECONDS > DRAIN_SECONDS + 5 + JAVA_STOP_SECONDS


def test_model_version_and_token_are_passed_on(api: docker.APIClient) -> None:
    sent = request(api, ContainerOptions(model="digits", version="2.0", token="secret"))
    assert sent["Cmd"] == ["--mode", "development", "--cors-origins", "", "--model", "digits", "--version", "2.0"]
    assert "TORCHLIGHT_TOKEN=secret" in sent["Env"]


ABOUT = {"image": "torchlight:latest", "host": "127.0.0.1", "port": 8080, "gpus": "7", "store": "/srv/model_store"}
REFUSALS = {
    "driver failed programming external connectivity on endpoint torchlight-8080 (29c): Bind for 127.0.0.1:8080 "
    "failed: port is already allocated": "port 8080 on 127.0.0.1 is taken: stop what uses it, or choose another with "
    "--port",
    "driver failed programming external connectivity on endpoint torchlight-8080 (29c): Error starting userland proxy: "
    "listen tcp4 127.0.0.1:8080: bind: address already in use": "port 8080 on 127.0.0.1 is taken",
    "listen tcp4 192.0.2.1:8080: bind: cannot assign requested address": "the Docker host does not have the address",
    'could not select device driver "" with capabilities: [[gpu]]': "Docker has no NVIDIA runtime: install the NVIDIA "
    "Container Toolkit and restart Docker, or leave --gpu and --gpus out",
    "failed to create task: nvidia-container-cli: device error: 7: unknown device: unknown": (
        "the Docker host has no GPU 7: choose one that `nvidia-smi -L` lists there"
    ),
    "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=7": "the Docker host has no GPU 7",
    "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown": "Docker's NVIDIA runtime "
    "finds no working driver",
    'invalid mount config for type "bind": bind source path does not exist: /srv/model_store': "the Docker host has "
    "no folder /srv/model_store",
    "exec /opt/venv/bin/python: exec format error": "the image torchlight:latest is built for another processor",
    "write /var/lib/docker/tmp/1: no space left on device": "the disk of the Docker host is full",
    "something new\n  and odd": "Docker failed: something new and odd",
}


@pytest.mark.parametrize("message", REFUSALS)
def test_a_refusal_becomes_a_sentence_with_its_remedy(message: str) -> None:
    with pytest.raises(DockerError) as caught, errors.docker_errors(ABOUT):
        raise APIError("500 Server Error", explanation=message)
    assert str(caught.value).startswith(REFUSALS[message])
    assert "\n" not in str(caught.value)


def test_a_missing_image_says_how_to_build_it() -> None:
    with (
        pytest.raises(DockerError, match=r"^the image .* does not exist: build it"),
        errors.docker_errors(ABOUT),
    ):
        raise ImageNotFound("404", explanation="No such image: torchlight:latest")


@pytest.mark.parametrize(
    ("message", "host", "beginning"),
    [
        ("FileNotFoundError(2, 'No such file or directory')", None, "no Docker daemon answers on this machine: start"),
        ("ConnectionRefusedError(111)", "tcp://127.0.0.1:1", "no Docker daemon answers at DOCKER_HOST=tcp://127.0.0.1"),
        (
            "PermissionError(13, 'Permission denied')",
            None,
            "this user has no access to the Docker daemon on this machin",
        ),
        ("Invalid bind address protocol: x://y", "x://y", "DOCKER_HOST=x://y cannot be used"),
    ],
)
def test_an_unreachable_daemon_is_a_sentence(message: str, host: str | None, beginning: str) -> None:
    assert errors.unreachable(message, host).startswith(beginning)


class FakeClient:
    """A daemon with one image."""

    def __init__(self, architecture: str) -> None:
        self.images = self
        self.attrs = {"Os": "linux", "Architecture": architecture}

    def get(self, tag: str) -> FakeClient:
        return self

    def version(self) -> dict[str, str]:
        return {"Os": "linux", "Arch": "amd64"}


def test_an_image_for_another_processor_is_refused() -> None:
    image.check(FakeClient("amd64"), "torchlight:latest")
    with pytest.raises(DockerError, match="is built for linux/arm64 and the Docker host is linux/amd64: build it"):
        image.check(FakeClient("arm64"), "torchlight:latest")


@pytest.mark.parametrize(
    ("error", "output", "beginning"),
    [
        ("pull access denied for base", "", "the base image base:1 cannot be pulled"),
        ('Get "https://registry.invalid/v2/": dial tcp: lookup', "", "the base image base:1 cannot be pulled"),
        ("returned a non-zero code: 1", "NewConnectionError: name resolution", "pip cannot reach a package index"),
        ("returned a non-zero code: 1", "ERROR: No matching distribution found for x", "no wheel fits a requirement"),
        ("write: no space left on device", "", "the disk of the Docker host is full"),
        (
            "returned a non-zero code: 2",
            "odd",
            "the image was not built: returned a non-zero code: 2; see",
        ),
    ],
)
def test_a_failed_build_says_what_to_do(error: str, output: str, beginning: str) -> None:
    assert image.failure(error, output, {"image": "torchlight:latest", "base": "base:1"}).startswith(beginning)


def test_the_dockerfile_takes_the_pinned_torch() -> None:
    pinned = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if line.startswith("torch==")]
    assert f"ARG TORCH={pinned[0]}\n" in (REPOSITORY / "Dockerfile").read_text()


def test_the_dockerfile_builds_with_the_classic_builder() -> None:
    text = (REPOSITORY / "Dockerfile").read_text()
    assert not re.search(r"^RUN --|^COPY --(?!from)|^# *syntax *=|<<", text, re.MULTILINE)


def test_a_store_that_others_cannot_read_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "model_store"
    store.mkdir(mode=0o755)
    (store / "digits-1.0.mar").touch(mode=0o600)
    with pytest.raises(DockerError, match="cannot be read by the user in the container: run `chmod -R o"):
        container.launch(None, ContainerOptions(store=store), lambda _: None)


def test_workers_beside_those_that_predict_are_handed_on_where_they_are_named() -> None:
    assert "--explain-workers" not in container.create_arguments(ContainerOptions())["command"]
    assert container.create_arguments(ContainerOptions(explain_workers=0))["command"][-2:] == ["--explain-workers", "0"]
    assert "--unbatched-worker" not in container.create_arguments(ContainerOptions())["command"]
    assert container.create_arguments(ContainerOptions(unbatched_worker=0))["command"][-2:] == [
        "--unbatched-worker",
        "0",
    ]
