"""Compiled engines of a trained network: `make optimize`.

`programs/` compiles the network for one engine. `candidates.py` lists the number formats. `gate.py` decides which
engines may serve, `install.py` moves these into the release, and `page.py` reports on all. `optimizing.py` runs all
steps.
"""

from training.compile.candidates import Candidates, find
from training.compile.errors import CompileError
from training.compile.figures import OnTest, Optimized
from training.compile.install import remove
from training.compile.optimizing import optimize
from training.compile.ungated import compile_ungated

__all__ = ["Candidates", "CompileError", "OnTest", "Optimized", "compile_ungated", "find", "optimize", "remove"]
