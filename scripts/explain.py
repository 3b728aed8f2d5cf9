"""Ask a running server for an explanation: write the overlay and print the other members."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import ask
from scripts.command import command


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, send the request, write the overlay, and print the explanation."""
    parser = argparse.ArgumentParser(prog="python -m scripts.explain", description=__doc__)
    parser.add_argument("image", help="a JPEG, PNG, WebP or .npy file")
    ask.add_flags(parser)
    parser.add_argument("--out", type=Path, default=Path("overlay.png"), help="overlay to write (default: overlay.png)")
    parser.add_argument("--method", help="attribution method (default: the default of the model)")
    parser.add_argument("--target", help="class to explain, as label or index (default: the predicted one)")
    parser.add_argument("--contrast", metavar="A,B", help="explain why class A and not class B")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another option (docs/reference/http.md), such as steps=50, baseline=mean, deadline_ms=200",
    )
    arguments = parser.parse_args(argv)
    options = _options(arguments.option)
    if arguments.contrast:
        options["contrast"] = arguments.contrast
    with ask.client(arguments) as client:
        explanation = client.explain(
            arguments.model,
            arguments.image,
            arguments.version,
            method=arguments.method,
            target=arguments.target,
            options=options,
            top_k=arguments.top_k,
        )
    arguments.out.write_bytes(explanation.overlay_png)
    print(json.dumps(_readable(explanation.raw), indent=2, ensure_ascii=False))
    for warning in explanation.raw["warnings"]:
        print(f"warning: {warning['message']}")
    label = explanation.target.label
    print(f"{explanation.sentence} {arguments.out} shows it: red speaks for {label!r}, blue against it.")


def _options(arguments: list[str]) -> dict[str, str]:
    options = {}
    for text in arguments:
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
    main()
