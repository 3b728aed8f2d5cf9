"""Write deploy/openapi.json, the OpenAPI 3.1 description of the HTTP contract that the proxy serves.

For example:

    torchlight maintenance openapi
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts import cli
from scripts.maintenance.openapi import components, operations
from serving import VERSION
from serving.web.documents import OPENAPI

_DESCRIPTION = """\
Torchlight classifies images and explains the predictions.

PUT works like POST on every path. A path without a version uses the default version of the model. The same port \
serves the Open Inference Protocol by gRPC (HTTP/2 without TLS).

Options may be in the query, in headers, in parts of a form or in the JSON. An option in two places must have the same \
value in both.

Every error is JSON with `code`, `type` and `message`. In production mode, requests need a token."""


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Torchlight",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"bearer": []}],
        "tags": operations.tags(),
        "paths": operations.paths(),
        "components": components.components(),
    }


def render() -> str:
    """Return the text of the file, indented so that its changes can be read."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main(*, out: Path = OPENAPI) -> None:
    """Write the file and print its size.

    Args:
        out: file to write
    """
    text = render()
    out.write_text(text, encoding="utf-8")
    print(f"{out}: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    cli.run("maintenance", "openapi")
