"""A module -> a program in one file (AOTInductor), which needs no compiler where it runs."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._inductor import aoti_compile_and_package

from training.compile.errors import CompileError
from training.compile.programs.cpu_level import CpuLevel
from training.compile.programs.program import traced


def check() -> None:
    """Check that there is a C++ compiler.

    Raises:
        CompileError: there is none.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise CompileError(
            f"compiling needs a C++ compiler, and there is no {compiler}: install one, on Debian or Ubuntu with "
            "`apt-get install g++`; only the machine that compiles needs it, not those that serve"
        )


def package(
    module: nn.Module, size: int, path: Path, device: torch.device, level: CpuLevel, *, autotune: bool = False
) -> None:
    """Compile `module` (see program.FromPixels) for images of `size` x `size` pixels and write it to `path` (.pt2).

    Weights are frozen: folded and laid out as the kernels want them. Threads are decided by the process that runs it,
    not by the one that compiles.

    Args:
        level: level of the CPU that will run it.
        autotune: measure for each matrix product whether oneDNN's kernel or Inductor's own (CppGemmTemplate) is faster
            with the traced number of rows, and use that one; otherwise oneDNN's kernels are used.

    Raises:
        CompileError: compilation failed.
    """
    settings: dict[str, Any] = {
        "freezing": True,
        "cpp.dynamic_threads": True,
        "cpp.march": level.march,
        "cpp.simdlen": level.bits,
    }
    if autotune:
        settings |= {
            "max_autotune_gemm": True,
            "max_autotune_gemm_backends": "CPP,ATEN",
            "autotune_num_choices_displayed": 0,
            "max_autotune_report_choices_stats": False,
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    deepest = sys.getrecursionlimit()  # Inductor raises it for good (torch/_inductor/compile_fx.py)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's remarks on its own parts
        try:
            aoti_compile_and_package(traced(module, size, device), package_path=str(path), inductor_configs=settings)
        except Exception as error:  # of the tracer, of Inductor, or of the compiler
            first = " ".join(str(error).split())[:300]
            raise CompileError(f"{path.name} cannot be compiled: {type(error).__name__}: {first}") from error
        finally:
            sys.setrecursionlimit(deepest)
