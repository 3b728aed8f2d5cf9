"""Ask a running server for an explanation: write the overlay and print the other members.

For example:

    torchlight explain samples/8.png --contrast 3,8 --out overlay.png
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from scripts import ask, cli


def main(
    image: str,
    /,
    *,
    server: ask.Server = ask.DEFAULT,
    out: Path = Path("overlay.png"),
    method: str | None = None,
    target: str | None = None,
    contrast: Annotated[str | None, Parameter(metavar="A,B")] = None,
    option: Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE")] = (),
) -> None:
    """Send the request, write the overlay, and print the explanation.

    Args:
        image: a JPEG, PNG, WebP or .npy file
        out: overlay to write
        method: attribution method (default: the default of the model)
        target: class to explain, as label or index (default: the predicted one)
        contrast: explain why class A and not class B
        option: another option of docs/reference/http.md, such as steps=50, baseline=mean, deadline_ms=200 or
            faithfulness=true; repeatable
    """
    options = _options(option)
    if contrast:
        options["contrast"] = contrast
    with ask.client(server) as client:
        explanation = client.explain(
            server.model,
            image,
            server.version,
            method=method,
            target=target,
            options=options,
            top_k=server.top_k,
        )
    out.write_bytes(explanation.overlay_png)
    print(json.dumps(_readable(explanation.raw), indent=2, ensure_ascii=False))
    for warning in explanation.raw["warnings"]:
        print(f"warning: {warning['message']}")
    label = explanation.target.label
    if "no_evidence" in explanation.warnings:
        print(f"{explanation.sentence} So {out} shows the image without color.")
    else:
        print(f"{explanation.sentence} {out} shows it: red speaks for {label!r}, blue against it.")


def _options(assignments: tuple[str, ...]) -> dict[str, str]:
    options = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--option is {text!r}; it must be NAME=VALUE")
        options[name] = value
    return options


def _readable(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members with the length of thumbnails in place of their bytes."""
    readable = dict(raw)
    if "neighbors" in raw:
        readable["neighbors"] = [
            {**neighbor, "thumbnail": f"{len(neighbor['thumbnail'])} characters"} for neighbor in raw["neighbors"]
        ]
    return readable


if __name__ == "__main__":
    cli.run("explain")
