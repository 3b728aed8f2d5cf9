"""The gateway as it runs: a process of its own, and a client of it without generated code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc

from serving.grpc import open_inference_pb2 as pb

ROOT = Path(__file__).resolve().parents[4]


class Gateway:
    def __init__(self, proxy: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "serving.grpc.gateway", "--port", "0", "--proxy", proxy, *arguments]
        environment = {**os.environ, "GRPC_VERBOSITY": "NONE"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.fullmatch(r"gRPC gateway on port (\d+)\n", line)
        assert match, line
        self.port = int(match[1])
        self.address = f"127.0.0.1:{self.port}"
        self._channel = grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])

    def method(self, name: str) -> Any:
        return self._channel.unary_unary(
            f"/inference.GRPCInferenceService/{name}",
            request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
            response_deserializer=getattr(pb, f"{name}Response", pb.ModelInferResponse).FromString,
        )

    def call(self, name: str, request: Any = None, **options: Any) -> Any:
        """The answer; raises grpc.RpcError."""
        message = getattr(pb, f"{name}Request")() if request is None else request
        return self.method(name)(message, **{"timeout": 10, **options})

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        self._channel.close()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def image_request(**fields: Any) -> pb.ModelInferRequest:
    """One image of three bytes, raw."""
    request = pb.ModelInferRequest(model_name="digits", **fields)
    request.inputs.add(name="image", datatype="BYTES", shape=[1])
    request.raw_input_contents.append(b"\x03\x00\x00\x00png")
    return request
