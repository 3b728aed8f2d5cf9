"""A peer: another server for the same model, and the model as a peer needs it."""

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

# `box`: eager float32, as its tutorial does it. `engine`: our compiled program, and its best settings for these cores.
Mode = Literal["box", "engine"]
# The versions that this project itself runs on, so that the peers differ in nothing but the server.
COMMON = ("torch==2.13.0", "numpy==2.4.6", "pillow==13.0.0", "safetensors==0.8.0")
REPOSITORY = Path(__file__).resolve().parents[3]
HOST = "127.0.0.1"
# The variable that names the model's description, for programs/classifier.py.
MODEL = "PEER_MODEL"
# From this size on the network, and no longer the server, is what takes the time.
LARGE = 128
# The most images in a batch, for everybody. Of large ones a batch that takes all that waits would leave the worker
# nothing to begin with when it is done (docs/performance.md, at the end).
BATCH, LARGE_BATCH = 32, 16


class Request(NamedTuple):
    """A POST of one image, as the peer wants it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Model:
    """The model that all serve.

    Attributes:
        architecture: a module of models.architectures; `arguments` are those of its `build`.
        weights: its state as safetensors.
        engine: an AOTInductor program (.pt2): uint8 (N, size, size, 3) -> (logits, embeddings). None: box mode only.
        size: pixels of a side of the network's input.
        resize: `stretch` takes the whole picture, `crop` the middle `crop` of its middle square.
        mean: of each channel, of pixels / 255; `std` likewise.
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
        """Images in a batch, at most."""
        return LARGE_BATCH if self.size >= LARGE else BATCH


@dataclass(frozen=True, slots=True)
class Plan:
    """One start of a peer: what its `launch` makes a command of.

    Attributes:
        python: of the peer's environment.
        scratch: where it may write.
        temporary: its TMPDIR: short, because sockets in it may have paths of 107 characters at most; gone afterwards.
        cores: that it may use.
    """

    python: Path
    model: Model
    mode: Mode
    port: int
    scratch: Path
    temporary: Path
    cores: int

    def command(self, *arguments: str, program: str = "", **environment: str) -> Command:
        """The peer's Python, or a `program` beside it, with arguments; it sees the repository and the model.

        How many threads OpenMP takes is left to the peer out of the box; with our program it is one, for each worker.
        """
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "USER") if name in os.environ}
        ours = {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "TMPDIR": str(self.temporary),
            MODEL: str(self._described()),
        }
        if self.mode == "engine":
            ours["OMP_NUM_THREADS"] = "1"
        executable = self.python.parent / program if program else self.python
        return Command((str(executable), *arguments), {**kept, **ours, **environment})

    def _described(self) -> Path:
        """Write what the programs read: the model, the mode, the size of a batch, the cores."""
        path = self.scratch / "model.json"
        content = {**asdict(self.model), "mode": self.mode, "batch": self.model.batch, "cores": self.cores}
        path.write_text(json.dumps(content, default=str), encoding="utf-8")
        return path


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on right now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [found.getsockname()[1] for found in sockets]


def raw(path: str) -> Callable[[bytes], Request]:
    """A POST of the image's bytes as they are."""
    return lambda image: Request(path, {"Content-Type": "application/octet-stream"}, image)


def file_part(path: str, name: str) -> Callable[[bytes], Request]:
    """A POST of a form with one file of that name (multipart/form-data, RFC 7578)."""
    # The boundary must not occur in the image: 128 random bits, made once.
    boundary = "torchlight-5f0c1e6ad83b4e0c9b6f2f7c7d1a90e4"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="image"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return lambda image: Request(path, headers, head.encode() + image + f"\r\n--{boundary}--\r\n".encode())


def top(body: bytes) -> tuple[int, float]:
    """The answer that programs/classifier.py gives: {"index": 3, "probability": 0.98}."""
    answer = json.loads(body)
    return int(answer["index"]), float(answer["probability"])


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server.

    Attributes:
        version: of its main package.
        documentation: the page that its settings follow.
        requirements: everything to install, pinned.
        launch: a plan -> the command that serves on its port until it is told to stop; may write files first.
        request: one image -> what to POST.
        answer: the body of a 200 -> index of the most probable class, and its probability.
            Raises ValueError, KeyError, TypeError or IndexError where it is no prediction.
    """

    name: str
    version: str
    documentation: str
    requirements: tuple[str, ...]
    launch: Callable[[Plan], Command]
    request: Callable[[bytes], Request]
    answer: Callable[[bytes], tuple[int, float]] = top

    @contextmanager
    def start(self, python: Path, model: Model, mode: Mode, port: int, scratch: Path) -> Iterator[str]:
        """Serve `model` on a port of loopback: the context is the base URL, once it answers; its end stops all.

        Args:
            python: of the environment that `environment.make` made.
            scratch: a folder for its files and its log, <name>.log; made if it is not there.

        Raises:
            PeerError: the model has no program for the engine mode, or the peer did not answer in time.
        """
        if mode == "engine" and model.engine is None:
            raise PeerError(f"{model.name}: the engine mode needs a compiled program, and the model has none")
        scratch.mkdir(parents=True, exist_ok=True)
        url = f"http://{HOST}:{port}"
        with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as temporary:
            plan = Plan(python, model, mode, port, scratch, Path(temporary), len(os.sched_getaffinity(0)))
            command = self.launch(plan)
            with running(command, scratch, scratch / f"{self.name}.log", lambda: self.answers(url, model)):
                yield url

    def answers(self, url: str, model: Model) -> bool:
        """Whether it classifies a blank picture."""
        path, headers, body = self.request(_blank(model.size))
        asked = urllib.request.Request(url + path, body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=30) as got:
                self.answer(got.read())
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            return False
        return True


def _blank(size: int) -> bytes:
    """A gray PNG of size x size pixels (RFC 2083), made by hand: Pillow is not imported where programs run."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header, rows = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0), (b"\0" + b"\x80" * 3 * size) * size
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
