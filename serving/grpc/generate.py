"""Make open_inference_pb2.py and .pyi from open_inference.proto: `python -m serving.grpc.generate [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
_DEFAULT_POOL = "_descriptor_pool.Default()"
_OWN_POOL = "_descriptor_pool.DescriptorPool()"


def generate(into: Path) -> None:
    """Write both files into a folder.

    The messages get a pool of their own: all files of the Open Inference Protocol use the same names, and a process
    with two of them in the default pool, such as ours beside tritonclient's, cannot import the second.

    Raises:
        RuntimeError: protoc failed, or its output is not of the form known here.
    """
    from grpc_tools import protoc  # a tool of developers, not there where this is served

    command = ["protoc", f"-I{FOLDER}", f"--python_out={into}", f"--pyi_out={into}", "open_inference.proto"]
    if protoc.main(command):
        raise RuntimeError("protoc failed; its message stands above")
    module = into / "open_inference_pb2.py"
    text = module.read_text(encoding="utf-8")
    if text.count(_DEFAULT_POOL) != 1:
        raise RuntimeError(f"{module} does not use {_DEFAULT_POOL} once: fit serving/grpc/generate.py to this protoc")
    module.write_text(text.replace(_DEFAULT_POOL, _OWN_POOL), encoding="utf-8")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
