"""Good image files with something changed or missing. By chance some still are images, so 200 is accepted for these."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzz.corpus.request import BAD, EITHER, WireRequest, in_turn
from tests.fuzz.corpus.routes import carried
from tests.fuzz.corpus.valid_images import any_image, join_png, jpegs, png_chunks, pngs, webps

# Values at which a parser's arithmetic tips over.
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(rng: Random, turn: int) -> WireRequest:
    """One change or a few of one kind."""
    mutate = in_turn(MUTATIONS, turn)
    content = any_image(rng)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        content = mutate(rng, content)
    return carried(rng, mutate.__name__.strip("_"), content, EITHER)


def chunk_mutated(rng: Random, turn: int) -> WireRequest:
    """PNG with a change inside its chunks and right checksums, so that the change is read."""
    mutate = in_turn(MUTATIONS, turn)
    chunks = list(png_chunks(rng.choice(pngs())))
    place = rng.choice([number for number, (_, inside) in enumerate(chunks) if inside])
    kind, inside = chunks[place]
    chunks[place] = (kind, mutate(rng, inside))
    return carried(rng, f"{mutate.__name__.strip('_')} in {kind.decode('ascii')}", join_png(chunks), EITHER)


def shuffled(rng: Random, turn: int) -> WireRequest:
    """PNG whose chunks are whole but out of order, missing or there twice."""
    head, *rest = png_chunks(rng.choice(pngs()))
    case, chunks = in_turn(
        (
            ("no header", rest),
            ("no data", [head, *(chunk for chunk in rest if chunk[0] != b"IDAT")]),
            ("header last", [*rest, head]),
            ("backwards", [head, *reversed(rest)]),
            ("header twice", [head, head, *rest]),
            ("data twice", [head, *(chunk for chunk in rest for _ in range(1 + (chunk[0] == b"IDAT")))]),
            ("no chunk", []),
        ),
        turn,
    )
    strict = case in ("no header", "no data", "header last", "no chunk")
    return carried(rng, case, join_png(chunks), BAD if strict else EITHER)


def truncated(rng: Random, turn: int) -> WireRequest:
    """Cut short. What lacks a fifth or more cannot be whole; a few bytes at the end may be no loss."""
    content = in_turn((*jpegs(), *pngs(), *webps()), turn)
    share = rng.choice(("in the header", "anywhere", "at the end"))
    cut = {
        "in the header": rng.randrange(1, 64),
        "anywhere": rng.randrange(1, len(content)),
        "at the end": len(content) - rng.randrange(1, 24),
    }[share]
    return carried(rng, f"cut {share}", content[:cut], BAD if cut < len(content) * 0.8 else EITHER)


def _flip(rng: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 32))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _insert(rng: Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.choice((1, 4, 100, 5000))) + content[at:]


def _delete(rng: Random, content: bytes) -> bytes:
    first, last = _range(rng, content)
    return content[:first] + content[last:] or content


def _swap(rng: Random, content: bytes) -> bytes:
    a, b, c = sorted(rng.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _splice(rng: Random, content: bytes) -> bytes:
    other = any_image(rng)
    return content[: rng.randrange(1, len(content) + 1)] + other[rng.randrange(len(other)) :]


def _zero(rng: Random, content: bytes) -> bytes:
    first, last = _range(rng, content)
    return content[:first] + bytes(last - first) + content[last:]


def _repeat(rng: Random, content: bytes) -> bytes:
    first, last = _range(rng, content)
    return content[:last] + content[first:last] * rng.choice((1, 2, 20)) + content[last:]


def _edge(rng: Random, content: bytes) -> bytes:
    """A number in the first hundred bytes, where headers are, becomes one at which arithmetic tips over."""
    size = rng.choice((1, 2, 4))
    at = rng.randrange(max(1, min(100, len(content) - size)))
    value = (rng.choice(EDGES) & (1 << 8 * size) - 1).to_bytes(size, rng.choice(("big", "little")))
    return content[:at] + value + content[at + size :]


def _noise(rng: Random, content: bytes) -> bytes:
    first, last = _range(rng, content)
    return content[:first] + rng.randbytes(last - first) + content[last:]


def _range(rng: Random, content: bytes) -> tuple[int, int]:
    first = rng.randrange(len(content))
    return first, min(len(content), first + rng.choice((1, 2, 16, 200, 2000)))


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
