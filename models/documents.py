"""Reading of YAML and JSON files, with limits for size, nesting and expansion.

Cards, settings and recipes may come from somebody else. With YAML's aliases a kilobyte can describe gigabytes. Deep
nesting exhausts the stack, and a large file exhausts the memory. This module reads all files of both formats; a test
checks that.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# Bytes. The card of 21,841 classes has 0.6 MB.
MAX_BYTES = 2_000_000
# Bytes of one line, where each line is a document.
MAX_LINE = 1_000_000
# Lists and mappings within each other; a card has 4.
MAX_DEPTH = 32
# Characters. YAML reads `1:30:00` as a number, in a time that grows with the square of its length.
MAX_NUMBER = 400

_NUMBER = re.compile(r"[-+]?[0-9][0-9:._]*")
# libyaml's loader is ten times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DocumentError(ValueError):
    """A file is not YAML or JSON, or exceeds a limit; the message names file and limit, and says what to do."""


def read(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> bytes:
    """Read a file that has `max_bytes` at most.

    Raises:
        DocumentError: it has more.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        content = file.read(max_bytes + 1)
    check_size(len(content), path, max_bytes)
    return content


def check_size(size: int, name: object, max_bytes: int = MAX_BYTES) -> None:
    """Check that a document has `max_bytes` at most.

    Raises:
        DocumentError: it has more.
    """
    if size > max_bytes:
        raise DocumentError(f"{name}: more than {max_bytes:,} bytes, the limit; put the file back that belongs there")


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Read a YAML file.

    Raises:
        DocumentError: it is not YAML, or exceeds a limit.
        OSError: it cannot be read.
    """
    return parse_yaml(read(path), path)


def read_json(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Any:
    """Read a JSON file.

    Raises:
        DocumentError: it is not JSON, or exceeds a limit.
        OSError: it cannot be read.
    """
    return parse_json(read(path, max_bytes), path, max_bytes)


def read_json_lines(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Read a file with one JSON document a line; a line that is none, as a kill leaves it, is passed over.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        at_line_start = True
        while line := file.readline(MAX_LINE):
            is_start, at_line_start = at_line_start, line.endswith(b"\n")
            if is_start and (at_line_start or len(line) < MAX_LINE):
                try:
                    yield parse_json(line, path)
                except DocumentError:
                    continue


def parse_yaml(content: bytes | str, name: object) -> Any:
    """Parse YAML; `name` says in messages where it comes from.

    Raises:
        DocumentError: it is not YAML, or exceeds a limit.
    """
    check_size(len(content), name)
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        _check_events(text, name)
        return yaml.load(text, Loader=_LOADER)
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise DocumentError(f"{name}: not YAML: {' '.join(str(error).split())}") from None


def parse_json(content: bytes | str, name: object, max_bytes: int = MAX_BYTES) -> Any:
    """Parse JSON; `name` says in messages where it comes from.

    Raises:
        DocumentError: it is not JSON, or exceeds a limit.
    """
    check_size(len(content), name, max_bytes)
    try:
        document = json.loads(content)
        _check_depth(document, name)
        return document
    except RecursionError:
        raise _too_deep(name) from None
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(f"{name}: not JSON: {error}") from None


def _check_events(text: str, name: object) -> None:
    """Look through YAML before anything is made of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(
                f"{name}: line {line} has an alias (*{event.anchor}): write the value out; aliases are refused, since "
                "they let a small file grow to gigabytes"
            )
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_NUMBER and _NUMBER.fullmatch(event.value):
            raise DocumentError(f"{name}: line {line} has a number of more than {MAX_NUMBER} characters, the limit")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _too_deep(name)


def _check_depth(document: object, name: object) -> None:
    level, depth = [document], 0
    while level:
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        nested = any(isinstance(item, (dict, list)) for item in level)
        depth += nested
        if depth > MAX_DEPTH:
            raise _too_deep(name)
        level = inner


def _too_deep(name: object) -> DocumentError:
    return DocumentError(f"{name}: nested more than {MAX_DEPTH} deep, the limit; put the file back that belongs there")
