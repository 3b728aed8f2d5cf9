"""Images for schemathesis, which cannot make any by itself, where the description wants a file.

Loaded by its command line (SCHEMATHESIS_HOOKS), in tests/integration/http/test_schemathesis.py.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies

IMAGES = [path.read_bytes() for path in sorted((Path(__file__).parents[3] / "samples").glob("*.png"))]
ENCODED = [base64.b64encode(image).decode() for image in IMAGES]

schemathesis.openapi.format("binary", strategies.sampled_from(IMAGES) | strategies.binary(max_size=99))
schemathesis.openapi.format("byte", strategies.sampled_from(ENCODED))


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """A description cannot say that a tensor's data fits its shape; where it names no data, put in what fits."""
    if isinstance(body, dict) and isinstance(body.get("inputs"), list):
        for tensor in body["inputs"]:
            if isinstance(tensor, dict) and tensor.get("datatype") == "BYTES":
                tensor.update(shape=[2], data=ENCODED[:2])
                tensor.pop("parameters", None)
    return body


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out headers of no meaning: HTTP lets any client and proxy add some."""
    return "x-schemathesis-unknown-property" not in {name.lower() for name in case.headers or {}}
