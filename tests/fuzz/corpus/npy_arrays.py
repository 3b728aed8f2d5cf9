""".npy files that are not images: false headers, types other than pixels, pickles."""

from __future__ import annotations

import io
import struct
import zipfile
from random import Random
from typing import Any

import numpy as np

from tests.fuzz.corpus.mutations import MUTATIONS
from tests.fuzz.corpus.request import REFUSED, REFUSED_OR_OK, FuzzRequest, pick_case
from tests.fuzz.corpus.routes import file_part, form, form_type, on_native_route

NPY = "application/x-npy"
MAGIC = b"\x93NUMPY\x01\x00"
PIXELS = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


def npy(array: Any, *, pickled: bool = False) -> bytes:
    """Return an array as numpy saves it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def headed(header: str, data: bytes = PIXELS.tobytes(), magic: bytes = MAGIC) -> bytes:
    """Return a file of format 1.0 with this text as its header."""
    text = header.encode("latin-1") + b"\n"
    return magic + struct.pack("<H", len(text)) + text + data


GOOD = npy(PIXELS)
HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 8, 3), }"


def npy_header(rng: Random, index: int) -> FuzzRequest:
    """Send a file with a wrong header."""
    shapes = (
        "(8, 8, 3",
        "(-8, -8, 3)",
        "(8.0, 8, 3)",
        "'8'",
        "None",
        "8",
        "(0, 8, 3)",
        "(2**9, 8)",
        "(1_0, 8, 3)",
        "[8, 8, 3]",
        "(9223372036854775807, 8, 3)",
        "(99999999999999999999999, 8, 3)",
        "(8, 8, 9)",
        "(True, 8, 24)",
        "(8, 8, 3, None)",
    )
    types = (
        "'|O'",
        "'O'",
        "'<u3'",
        "'nothing'",
        "3",
        "None",
        "'|V3'",
        "[('r', '|u1')]",
        "'<M8[s]'",
        "'|S192'",
        "'<U48'",
        "''",
        "'c'",
        "('|u1', (8, 8))",
        "'<c16'",
        "'u1,u1,u1'",
    )
    texts = [f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}" for shape in shapes]
    texts += [f"{{'descr': {kind}, 'fortran_order': False, 'shape': (8, 8, 3), }}" for kind in types]
    texts += [
        "",
        "{",
        "{}",
        "None",
        "[]",
        "(" * 9_000,
        "{'descr': '|u1', 'shape': (8, 8, 3), }",
        "{'descr': '|u1', 'fortran_order': 3, 'shape': (8, 8, 3), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 8, 3), 'more': 1, }",
        "__import__('os').system('true')",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (8, 8, 3)}",
        "\xff\xfe\0",
    ]
    contents = [(text[:60], headed(text)) for text in texts]
    contents += [
        ("another magic", b"\x93NUMPX" + GOOD[6:]),
        ("version 9.9", GOOD[:6] + b"\x09\x09" + GOOD[8:]),
        ("version 0.0", GOOD[:6] + b"\0\0" + GOOD[8:]),
        ("a header of 65,535 bytes", GOOD[:8] + b"\xff\xff" + GOOD[10:]),
        ("a header of 4 GB", GOOD[:6] + b"\x02\x00" + b"\xff" * 4 + GOOD[10:]),
        ("the magic alone", MAGIC),
        ("half a header", GOOD[:40]),
        ("half the data", GOOD[:-99]),
        ("no data", GOOD[:-192]),
        ("nothing", b""),
        ("text", b"array([1, 2, 3])"),
    ]
    case, content = pick_case(contents, index)
    return _request(rng, case, content)


def npy_values(rng: Random, index: int) -> FuzzRequest:
    """Send a well-formed file whose array is not an image."""
    floats = np.full((4, 4, 3), 0.5, np.float32)
    arrays: list[tuple[str, Any]] = [
        (f"{kind}", PIXELS.astype(kind)) for kind in ("complex64", "complex128", "S3", "U3", "M8[s]", "m8[s]", "V3")
    ]
    arrays += [
        (f"shape {shape}", np.zeros(shape, np.uint8))
        for shape in (
            (),
            (0,),
            (3,),
            (0, 0, 3),
            (5, 5, 2),
            (6, 6, 5),
            (1, 1, 4, 4, 3),
            (65, 2, 2, 3),
            (1,) * 20,
            (0, 4, 4, 3),
        )
    ]
    arrays += [
        (f"value {value}", np.where(floats > 0, np.float32(value), 0)) for value in (np.nan, np.inf, -np.inf, -1, 1e30)
    ]
    arrays += [
        ("negative", np.full((4, 4, 3), -1, np.int16)),
        ("300", np.full((4, 4, 3), 300, np.int32)),
        ("2^40", np.full((4, 4, 3), 2**40, np.int64)),
        ("one not a number", np.array([[[0.5, 0.5, np.nan]]])),
        ("structured", np.zeros((4, 4), [("r", "u1"), ("g", "u1"), ("b", "u1")])),
    ]
    files = [(case, npy(array)) for case, array in arrays]
    files += [
        ("objects", npy(np.array([1, "two", None], object), pickled=True)),
        ("a pickle that calls", headed("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", CALL)),
        ("a pickle", CALL),
        ("a .npz", _npz()),
    ]
    case, content = pick_case(files, index)
    return _request(rng, case, content)


def npy_odd(rng: Random, index: int) -> FuzzRequest:
    """Send an image in an unusual layout, or a good file with a change anywhere. The server may accept it."""
    arrays: list[tuple[str, bytes]] = [
        ("Fortran order", npy(np.asfortranarray(PIXELS))),
        ("big-endian", npy((PIXELS / 255).astype(">f4"))),
        ("halves", npy((PIXELS / 255).astype(np.float16))),
        ("doubles", npy(PIXELS / 255)),
        ("64 bits", npy(PIXELS.astype(np.int64))),
        ("truth", npy(PIXELS > 99)),
        ("gray", npy(PIXELS[..., 0])),
        ("channels first", npy(np.moveaxis(PIXELS, 2, 0))),
        ("one pixel", npy(PIXELS[:1, :1])),
        ("a line", npy(np.zeros((1, 100_000, 3), np.uint8))),
        ("1.9 million pixels", npy(np.zeros((1_400, 1_400, 3), np.uint8))),
        ("60,000 spaces in its header", headed(HEADER + " " * 60_000)),
        ("bytes after it", GOOD + rng.randbytes(99)),
        *((f"changed: {mutate.__name__.strip('_')}", mutate(rng, GOOD)) for mutate in MUTATIONS),
    ]
    case, content = pick_case(arrays, index)
    return _request(rng, case, content, REFUSED_OR_OK)


# Protocol 0: a call of exec. It would end the worker, and does nothing else.
CALL = b"cbuiltins\nexec\n(S'raise SystemExit'\ntR."


def _npz() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("image.npy"), GOOD)  # a ZipInfo has a fixed time
    return buffer.getvalue()


def _request(rng: Random, case: str, content: bytes, accepted: frozenset[int] = REFUSED) -> FuzzRequest:
    if rng.random() < 0.25:
        return on_native_route(rng, case, form_type(), form([(file_part("image", NPY), content)]), accepted)
    return on_native_route(rng, case, NPY, content, accepted)
