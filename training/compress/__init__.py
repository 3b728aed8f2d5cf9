"""Compiled programs of a trained network, let in only where they keep what it can: `make optimize`.

`program.py` is what is compiled, `quantise.py` and `aoti.py` how, `level.py` for which processors, `candidates.py`
in which formats; `gate.py` judges, `adopt.py` puts what passed into the release, `optimising.py` does all of it.
"""

from training.compress.adopt import remove
from training.compress.candidates import Candidates, find
from training.compress.errors import CompressError
from training.compress.figures import OnTest, Optimised
from training.compress.optimising import optimise
from training.compress.unjudged import compile_unjudged

__all__ = ["Candidates", "CompressError", "OnTest", "Optimised", "compile_unjudged", "find", "optimise", "remove"]
