"""A compiled engine answers as the network does, or is not loaded at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from handlers.engines import EngineError, named
from handlers.engines.compiled import Program
from handlers.engines.eager import Eager
from models.card import Card, Compiled
from models.release import Release
from training.data import Dataset
from training.loop.loader import load
from training.loop.measure import seen

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def pixels(rows: int) -> torch.Tensor:
    return torch.randint(256, (rows, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(rows))


def entry_of(card: Card, **changed: object) -> Compiled:
    """The card's entry of the float32 engine, changed."""
    return next(entry for entry in card.engines if entry.name == "cpu-fp32").model_copy(update=changed)


@pytest.fixture(scope="module")
def eager(compiled: Release) -> Eager:
    return Eager.load(compiled.folder, compiled.card, CPU)


@pytest.fixture(scope="module")
def programs(compiled: Release) -> dict[str, Program]:
    return {entry.name: Program.load(compiled.folder, compiled.card, entry, CPU) for entry in compiled.card.engines}


@pytest.mark.parametrize("rows", [1, 3, 64, 65])
def test_float32_gives_what_the_network_gives(programs: dict[str, Program], eager: Eager, rows: int) -> None:
    found, wanted = programs["cpu-fp32"].outputs(pixels(rows)), eager.outputs(pixels(rows))
    assert found.logits.shape == (rows, 10)
    assert torch.allclose(found.logits, wanted.logits, atol=1e-4)
    assert torch.allclose(found.embeddings, wanted.embeddings, atol=1e-4)


def test_int8_gives_nearly_that(programs: dict[str, Program], eager: Eager, digits: Dataset) -> None:
    source = load(digits.test, eager.spec, CPU)
    rows = torch.cat([some for _, some in seen(source, eager.spec)])
    found, wanted = programs["cpu-int8"].outputs(rows), eager.outputs(rows)
    assert (found.logits.argmax(1) == wanted.logits.argmax(1)).double().mean() >= 0.98
    assert 0 < (found.embeddings - wanted.embeddings).norm() < 0.05 * wanted.embeddings.norm()


def test_pixels_of_any_memory_layout_give_the_same(programs: dict[str, Program]) -> None:
    last = pixels(3).contiguous(memory_format=torch.channels_last)
    assert torch.equal(programs["cpu-int8"].logits(last), programs["cpu-int8"].logits(last.contiguous()))


def test_answers_belong_to_the_caller(programs: dict[str, Program]) -> None:
    """An engine must not answer the next batch into the same memory."""
    first = programs["cpu-fp32"].outputs(pixels(3))
    before = first.logits.clone()
    programs["cpu-fp32"].outputs(pixels(3).flip(0))
    assert torch.equal(first.logits, before)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rejection": "it is no faster"}, "was kept out when it was compiled: it is no faster"),
        ({"name": "cuda-bf16"}, "is for cuda, and this worker runs on cpu"),
        ({"torch": "1.0.0"}, "was compiled with torch 1.0.0, and this is 2."),
        ({"requires": ("avx2", "avx999", "amx_9")}, "needs amx_9, avx999, which the processor here does not have"),
    ],
)
def test_program_for_other_instructions_is_refused_before_it_is_loaded(
    compiled: Release, changed: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", lambda *arguments: pytest.fail("loaded"))
    with pytest.raises(EngineError, match=said):
        Program.load(compiled.folder, compiled.card, entry_of(compiled.card, **changed), CPU)


def cut(size: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:size]


@pytest.mark.parametrize(
    "damage",
    [
        cut(0),
        cut(1),
        cut(100),
        cut(1_000_000),
        cut(-1),
        cut(-30),
        cut(-2000),
        lambda content: b"x" * 5000,
    ],
    ids=["empty", "1 byte", "100 bytes", "half", "all but 1", "all but 30", "all but 2000", "another file"],
)
def test_a_damaged_file_is_an_error_and_no_crash(own_compiled: Release, damage: Callable[[bytes], bytes]) -> None:
    path = own_compiled.folder / "engines/cpu-fp32.pt2"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EngineError, match=r"cpu-fp32\.pt2: does not load"):
        Program.load(own_compiled.folder, own_compiled.card, entry_of(own_compiled.card), CPU)


def test_a_missing_file_is_named(own_compiled: Release) -> None:
    (own_compiled.folder / "engines/cpu-fp32.pt2").unlink()
    with pytest.raises(EngineError, match=r"cpu-fp32\.pt2: no such file, though the card lists it"):
        Program.load(own_compiled.folder, own_compiled.card, entry_of(own_compiled.card), CPU)


def test_a_program_of_another_network_is_found(compiled: Release) -> None:
    card = compiled.card.model_copy(update={"classes": ("cat", "dog")})
    with pytest.raises(EngineError, match="answers 10 classes, and the card names 2"):
        Program.load(compiled.folder, card, entry_of(card), CPU)


def test_a_name_finds_its_engine(compiled: Release) -> None:
    assert named.load(compiled.folder, compiled.card, "cpu-int8", CPU).name == "cpu-int8"
    with pytest.raises(EngineError, match="there is no engine 'cpu-bf16': the card has cpu-int8, cpu-fp32, eager"):
        named.load(compiled.folder, compiled.card, "cpu-bf16", CPU)
