"""Safe reading of a pickle that holds only plain values and arrays of numbers.

A pickle can name any function of any module and call it. Here it can name only the functions that rebuild arrays
(docs.python.org/3/library/pickle.html#restricting-globals).
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import DataError


def read(path: Path) -> Any:
    """Return the value pickled in `path`; strings of Python 2 are bytes.

    Raises:
        DataError: it is cut short or corrupt, or would call another function.
    """
    try:
        return _Arrays(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except (DataError, OSError):
        raise
    except Exception as error:  # corrupt bytes make a pickle raise almost anything
        raise DataError(f"{path} is cut short or corrupt ({error or type(error).__name__}): fetch it again") from None


def _encode(text: str, encoding: str) -> bytes:
    """Encode text as latin1, the only codec that pickles of bytes need."""
    if encoding != "latin1":
        raise DataError(f"the pickle encodes with {encoding!r}: only latin1 is allowed")
    return text.encode("latin1")


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case (("numpy.core.multiarray" | "numpy._core.multiarray"), "_reconstruct"):
                return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
            case "numpy", ("ndarray" | "dtype"):
                return getattr(np, name)
            case "_codecs", "encode":
                return _encode
        raise DataError(f"the pickle calls {module}.{name}, which no array of numbers needs: do not trust this file")
