"""Autotuned kernels change the time of a program's matrix products, not their result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from handlers.engines import MAX_ROWS, machine
from models import architectures
from models.card import Input
from training.compile.programs import aoti, cpu_level
from training.compile.programs.program import FromPixels
from training.compile.programs.quantize import quantized

pytestmark = pytest.mark.slow

SPEC = Input(size=24, mean=(0.5, 0.25, 0.125), std=(0.5, 0.25, 0.125))
CPU = torch.device("cpu")
PIXELS = torch.randint(256, (MAX_ROWS, 24, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_products_by_the_faster_kernel_are_those_of_onednn(
    tmp_path: Path, threads: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled by two threads, which a product is cut for, and run by two and by one."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    network = FromPixels(architectures.build("cnn", image_size=24, classes=5), SPEC).eval().requires_grad_(False)
    features = machine.features(CPU)
    chosen = cpu_level.find(features)
    if not cpu_level.own_products(cpu_level.required(chosen, features)):
        chosen = cpu_level.LEVELS[-1]  # Inductor's own are right there too, and slow
    narrow = cpu_level.VNNI not in cpu_level.required(chosen, features)
    module = quantized(network, PIXELS, narrow=narrow)
    programs = {}

    def compiled(name: str, *, autotune: bool) -> bytes:
        path = tmp_path / f"{name}.pt2"
        aoti.package(module, SPEC.size, path, CPU, chosen, autotune=autotune)
        programs[name] = torch._inductor.aoti_load_package(str(path))
        return path.read_bytes()

    plain = compiled("onednn", autotune=False)
    compiled("faster", autotune=True)
    said = "".join(capfd.readouterr())
    assert "AUTOTUNE" not in said.upper(), "how long each kernel took is Inductor's own affair"
    package = aoti.aoti_compile_and_package
    # Whichever is faster here, Inductor's own is compared.
    monkeypatch.setattr(
        aoti,
        "aoti_compile_and_package",
        lambda graph, *, package_path, inductor_configs: package(
            graph,
            package_path=package_path,
            inductor_configs=inductor_configs | {"max_autotune_gemm_backends": "CPP"},
        ),
    )
    own = compiled("own", autotune=True)
    assert b"micro_gemm" in own
    assert b"micro_gemm" not in plain
    for count in (2, 1):
        torch.set_num_threads(count)
        for rows in (1, 3, 8, MAX_ROWS):
            wanted = programs["onednn"](PIXELS[:rows])
            for name in ("faster", "own"):
                found = programs[name](PIXELS[:rows])
                assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, wanted, strict=True))
