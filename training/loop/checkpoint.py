"""Checkpoints of a training: one .safetensors file whose metadata holds a JSON document, without pickle.

The file is replaced atomically (written beside, synced, renamed), so a killed process or a full disk leaves the
previous checkpoint.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.documents import parse_json
from models.tensors import MAX_HEADER, check_header

FILE_NAME = "checkpoint.safetensors"
_DOCUMENT = "torchlight"


class CheckpointError(ValueError):
    """The checkpoint cannot be written, cannot be read, or belongs to another training."""


def write(folder: Path, tensors: Mapping[str, torch.Tensor], document: Mapping[str, Any]) -> None:
    """Replace the checkpoint in `folder`, creating the folder.

    Raises:
        CheckpointError: the disk is full or cannot be written; the previous checkpoint is unchanged.
    """
    path, draft = folder / FILE_NAME, folder / f"{FILE_NAME}.new"
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, {_DOCUMENT: json.dumps(document)})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = f"free {len(content) / 1e6:.0f} MB" if full else "make it writable"
        fallback = "; the previous checkpoint is valid: resume from it with --resume" if path.exists() else ""
        raise CheckpointError(f"{path}: cannot be written ({error.strerror}): {what}{fallback}") from None


def read(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors and the document of the checkpoint in `folder`.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = folder / FILE_NAME
    try:
        check_header(path)
        with safe_open(path, framework="pt") as file:
            document = parse_json(file.metadata()[_DOCUMENT], _DOCUMENT, MAX_HEADER)
            # Cloned: a view of the file would keep its space on the disk after it is replaced.
            return {name: file.get_tensor(name).clone() for name in file.keys()}, document  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no checkpoint to resume; train without --resume") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); remove it, or use --restart") from None


def check(folder: Path, document: Mapping[str, Any], recipe: Mapping[str, Any], identity: str) -> None:
    """Check that the checkpoint in `folder` belongs to this training.

    Args:
        recipe: as JSON.
        identity: of the data.

    Raises:
        CheckpointError: it was made with another recipe or other data; the message names each value that differs.
    """
    before = _flat(document["recipe"])
    now = _flat(recipe)
    changed = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in before | now
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise CheckpointError(
            f"{folder}: its checkpoint was made with another recipe ({'; '.join(changed)}): use that one, or start "
            "again with --restart"
        )
    if document["identity"] != identity:
        raise CheckpointError(f"{folder}: its checkpoint was made with other data: use --restart")


def _flat(recipe: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return a recipe's values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in recipe.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {above + key: value}
    return flat


def pack(prefix: str, state: Mapping[Any, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return a nested state dict as flat tensors named `prefix/...`, and its other values for JSON."""
    tensors: dict[str, torch.Tensor] = {}
    values: dict[str, Any] = {}
    for key, value in state.items():
        name = f"{prefix}/{key}"
        if isinstance(value, torch.Tensor):
            tensors[name] = value
        elif isinstance(value, Mapping):
            more_tensors, more_values = pack(name, value)
            tensors |= more_tensors
            values |= more_values
        else:
            values[name] = value
    return tensors, values


def unpack(prefix: str, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> dict[Any, Any]:
    """Return the state dict that `pack` flattened; keys of digits become integers."""
    state: dict[Any, Any] = {}
    for name, value in {**tensors, **values}.items():
        if name.startswith(f"{prefix}/"):
            *parents, last = name.removeprefix(f"{prefix}/").split("/")
            inner = state
            for parent in parents:
                inner = inner.setdefault(int(parent) if parent.isdigit() else parent, {})
            inner[int(last) if last.isdigit() else last] = value
    return state
