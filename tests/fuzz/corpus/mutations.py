"""Good image files with a change or a gap. By chance some are still images, so 200 is accepted for these."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzz.corpus.request import REFUSED, REFUSED_OR_OK, FuzzRequest, pick_case
from tests.fuzz.corpus.routes import on_any_route
from tests.fuzz.corpus.valid_images import any_image, join_png, jpegs, png_chunks, pngs, webps

# Values at which a parser's arithmetic overflows.
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(rng: Random, index: int) -> FuzzRequest:
    """Send an image with one or several mutations of one kind."""
    mutate = pick_case(MUTATIONS, index)
    content = any_image(rng)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        content = mutate(rng, content)
    return on_any_route(rng, mutate.__name__.strip("_"), content, REFUSED_OR_OK)


def chunk_mutated(rng: Random, index: int) -> FuzzRequest:
    """Send a PNG with a mutation inside a chunk and a right checksum, so that the decoder reads it."""
    mutate = pick_case(MUTATIONS, index)
    chunks = list(png_chunks(rng.choice(pngs())))
    position = rng.choice([number for number, (_, inside) in enumerate(chunks) if inside])
    kind, inside = chunks[position]
    chunks[position] = (kind, mutate(rng, inside))
    return on_any_route(rng, f"{mutate.__name__.strip('_')} in {kind.decode('ascii')}", join_png(chunks), REFUSED_OR_OK)


def shuffled(rng: Random, index: int) -> FuzzRequest:
    """Send a PNG whose chunks are intact, but out of order, missing or repeated."""
    header, *body_chunks = png_chunks(rng.choice(pngs()))
    case, chunks = pick_case(
        (
            ("no header", body_chunks),
            ("no data", [header, *(chunk for chunk in body_chunks if chunk[0] != b"IDAT")]),
            ("header last", [*body_chunks, header]),
            ("backwards", [header, *reversed(body_chunks)]),
            ("header twice", [header, header, *body_chunks]),
            ("data twice", [header, *(chunk for chunk in body_chunks for _ in range(1 + (chunk[0] == b"IDAT")))]),
            ("no chunk", []),
        ),
        index,
    )
    strict = case in ("no header", "no data", "header last", "no chunk")
    return on_any_route(rng, case, join_png(chunks), REFUSED if strict else REFUSED_OR_OK)


def truncated(rng: Random, index: int) -> FuzzRequest:
    """Send a truncated image. A file that lacks a fifth is damaged; a few bytes at the end may not matter."""
    content = pick_case((*jpegs(), *pngs(), *webps()), index)
    position = rng.choice(("in the header", "anywhere", "at the end"))
    cut = {
        "in the header": rng.randrange(1, 64),
        "anywhere": rng.randrange(1, len(content)),
        "at the end": len(content) - rng.randrange(1, 24),
    }[position]
    return on_any_route(rng, f"cut {position}", content[:cut], REFUSED if cut < len(content) * 0.8 else REFUSED_OR_OK)


def _flip(rng: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 32))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _insert(rng: Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.choice((1, 4, 100, 5000))) + content[at:]


def _delete(rng: Random, content: bytes) -> bytes:
    start, end = _range(rng, content)
    return content[:start] + content[end:] or content


def _swap(rng: Random, content: bytes) -> bytes:
    a, b, c = sorted(rng.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _splice(rng: Random, content: bytes) -> bytes:
    other = any_image(rng)
    return content[: rng.randrange(1, len(content) + 1)] + other[rng.randrange(len(other)) :]


def _zero(rng: Random, content: bytes) -> bytes:
    start, end = _range(rng, content)
    return content[:start] + bytes(end - start) + content[end:]


def _repeat(rng: Random, content: bytes) -> bytes:
    start, end = _range(rng, content)
    return content[:end] + content[start:end] * rng.choice((1, 2, 20)) + content[end:]


def _edge(rng: Random, content: bytes) -> bytes:
    """Replace a number in the first hundred bytes, where headers are, by one at which arithmetic overflows."""
    size = rng.choice((1, 2, 4))
    at = rng.randrange(max(1, min(100, len(content) - size)))
    value = (rng.choice(EDGES) & (1 << 8 * size) - 1).to_bytes(size, rng.choice(("big", "little")))
    return content[:at] + value + content[at + size :]


def _noise(rng: Random, content: bytes) -> bytes:
    start, end = _range(rng, content)
    return content[:start] + rng.randbytes(end - start) + content[end:]


def _range(rng: Random, content: bytes) -> tuple[int, int]:
    start = rng.randrange(len(content))
    return start, min(len(content), start + rng.choice((1, 2, 16, 200, 2000)))


MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip,
    _insert,
    _delete,
    _swap,
    _splice,
    _zero,
    _repeat,
    _edge,
    _noise,
)
