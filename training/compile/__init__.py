"""Compiled programs of a trained network, let in only where they keep what it can: `make optimize`.

`program.py` is what is compiled, `quantize.py` and `aoti.py` how, `level.py` for which processors, `candidates.py`
in which formats; `gate.py` judges, `adopt.py` puts what passed into the release, `optimizing.py` does all of it.
"""

from training.compile.candidates import Candidates, find
from training.compile.errors import CompileError
from training.compile.figures import OnTest, Optimized
from training.compile.install import remove
from training.compile.optimizing import optimize
from training.compile.ungated import compile_ungated

__all__ = ["Candidates", "CompileError", "OnTest", "Optimized", "compile_ungated", "find", "optimize", "remove"]
