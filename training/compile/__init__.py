"""Compiled programs of a trained network: `make optimize`.

`candidates.py` lists the number formats, and `cpu_level.py` the levels of processors. `program.py` is the module that
`quantize.py` and `aoti.py` compile. `gate.py` decides which programs may serve, and `install.py` moves these into the
release. `optimizing.py` runs all steps.
"""

from training.compile.candidates import Candidates, find
from training.compile.errors import CompileError
from training.compile.figures import OnTest, Optimized
from training.compile.install import remove
from training.compile.optimizing import optimize
from training.compile.ungated import compile_ungated

__all__ = ["Candidates", "CompileError", "OnTest", "Optimized", "compile_ungated", "find", "optimize", "remove"]
