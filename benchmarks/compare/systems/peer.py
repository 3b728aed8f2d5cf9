"""A peer: another server for the same model; and the description of the model for peers."""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks.compare.systems.server_process import Command, PeerError, running

# `default`: eager float32, as in the peer's tutorial. `engine`: Torchlight's compiled program, and the peer's best
# settings for these cores.
Mode = Literal["default", "engine"]
# The versions that this project itself uses, so that peers differ only in the server.
COMMON = ("torch==2.13.0", "numpy==2.4.6", "pillow==13.0.0", "safetensors==0.8.0")
REPOSITORY = Path(__file__).resolve().parents[3]
HOST = "127.0.0.1"
# Environment variable with the path of the model's description, for programs/classifier.py.
MODEL = "PEER_MODEL"
# From this input size on, the network takes more time than the server.
LARGE = 128
# Maximum batch size of all systems. With large images, a batch that takes all waiting requests would leave the worker
# nothing to start with afterwards (docs/benchmarks/performance.md, at the end).
BATCH, LARGE_BATCH = 32, 16


class Request(NamedTuple):
    """A POST of one image, in the peer's format."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Model:
    """The model that all systems serve.

    Attributes:
        architecture: a module of models.architectures. `arguments` are the arguments of its `build`.
        weights: its state dict as safetensors.
        engine: an AOTInductor program (.pt2): uint8 (N, size, size, 3) -> (logits, embeddings). None: no engine mode.
        size: side of the network's input in pixels.
        resize: `stretch` uses the complete image, `crop` the central share `crop` of its central square.
        mean, std: of each channel, for pixels / 255.
    """

    name: str
    architecture: str
    arguments: Mapping[str, Any]
    weights: Path
    engine: Path | None
    size: int
    resize: Literal["stretch", "crop"]
    crop: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    classes: tuple[str, ...]

    @property
    def batch(self) -> int:
        """Maximum batch size."""
        return LARGE_BATCH if self.size >= LARGE else BATCH


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """Parameters of one start of a peer, from which its `launch` makes a command.

    Attributes:
        python: Python of the peer's environment.
        scratch: folder where the peer may write.
        temporary: its TMPDIR, removed at the end. It is short, because paths of sockets have at most 107 characters.
        cores: number of cores that the peer may use.
    """

    python: Path
    model: Model
    mode: Mode
    port: int
    scratch: Path
    temporary: Path
    cores: int

    def command(self, *arguments: str, program: str = "", **environment: str) -> Command:
        """Return a command for the peer's Python, or for a `program` of its environment.

        In the default mode the peer decides on the threads of OpenMP. In the engine mode each worker has one.
        """
        inherited = {name: os.environ[name] for name in ("HOME", "LANG", "USER") if name in os.environ}
        variables = {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "TMPDIR": str(self.temporary),
            MODEL: str(self._write_description()),
        }
        if self.mode == "engine":
            variables["OMP_NUM_THREADS"] = "1"
        executable = self.python.parent / program if program else self.python
        return Command((str(executable), *arguments), {**inherited, **variables, **environment})

    def _write_description(self) -> Path:
        """Write the description for the programs: the model, the mode, the batch size, the cores."""
        path = self.scratch / "model.json"
        content = {**asdict(self.model), "mode": self.mode, "batch": self.model.batch, "cores": self.cores}
        path.write_text(json.dumps(content, default=str), encoding="utf-8")
        return path


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [open_socket.getsockname()[1] for open_socket in sockets]


def raw(path: str) -> Callable[[bytes], Request]:
    """Return a function that makes a POST of the image's bytes."""
    return lambda image: Request(path, {"Content-Type": "application/octet-stream"}, image)


def file_part(path: str, name: str) -> Callable[[bytes], Request]:
    """Return a function that makes a POST of a form with one file (multipart/form-data, RFC 7578)."""
    # The boundary must not occur in the image: 128 random bits, made once.
    boundary = "torchlight-5f0c1e6ad83b4e0c9b6f2f7c7d1a90e4"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="image"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return lambda image: Request(path, headers, head.encode() + image + f"\r\n--{boundary}--\r\n".encode())


def parse_top_class(body: bytes) -> tuple[int, float]:
    """Parse the response of programs/classifier.py: {"index": 3, "probability": 0.98}."""
    response = json.loads(body)
    return int(response["index"]), float(response["probability"])


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server.

    Attributes:
        version: version of its main package.
        documentation: page that its settings follow.
        requirements: all packages to install, pinned.
        launch: makes the command that serves on the plan's port. It may write files first.
        request: makes the request for an image.
        parse: returns index and probability of the top class from the body of a 200. Raises ValueError, KeyError,
            TypeError or IndexError if the body is not a prediction.
    """

    name: str
    version: str
    documentation: str
    requirements: tuple[str, ...]
    launch: Callable[[LaunchPlan], Command]
    request: Callable[[bytes], Request]
    parse: Callable[[bytes], tuple[int, float]] = parse_top_class

    @contextmanager
    def start(self, python: Path, model: Model, mode: Mode, port: int, scratch: Path) -> Iterator[str]:
        """Serve `model` on a port of loopback. The context is the base URL, from the first response on.

        Args:
            python: Python of the environment that `environment.create` made.
            model: the model to serve.
            mode: `default` or `engine`.
            port: a free port.
            scratch: a folder for its files and its log, <name>.log. Made if it is missing.

        Raises:
            PeerError: the model has no program for the engine mode, or the peer did not respond in time.
        """
        if mode == "engine" and model.engine is None:
            raise PeerError(f"{model.name}: the engine mode needs a compiled program, and the model has none")
        scratch.mkdir(parents=True, exist_ok=True)
        url = f"http://{HOST}:{port}"
        with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as temporary:
            plan = LaunchPlan(python, model, mode, port, scratch, Path(temporary), len(os.sched_getaffinity(0)))
            command = self.launch(plan)
            with running(command, scratch, scratch / f"{self.name}.log", lambda: self.responds(url, model)):
                yield url

    def responds(self, url: str, model: Model) -> bool:
        """Return whether the server at `url` classifies a blank image."""
        path, headers, body = self.request(_blank_png(model.size))
        post = urllib.request.Request(url + path, body, headers)
        try:
            with urllib.request.urlopen(post, timeout=30) as response:
                self.parse(response.read())
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            return False
        return True


def _blank_png(size: int) -> bytes:
    """Return a gray PNG of size x size pixels (RFC 2083). Pillow would be imported into every program."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header, rows = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0), (b"\0" + b"\x80" * 3 * size) * size
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
