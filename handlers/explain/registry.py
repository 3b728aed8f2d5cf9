"""All attribution methods: each file of handlers/explain/methods that sets METHOD is one."""

from __future__ import annotations

import importlib
import pkgutil

from handlers.explain import methods
from handlers.explain.methods.method import Method


def _load() -> dict[str, Method]:
    """Return the methods by name, best rank first.

    Raises:
        ValueError: two files use the same name.
    """
    names = [module.name for module in pkgutil.iter_modules(methods.__path__, f"{methods.__name__}.")]
    modules = [importlib.import_module(name) for name in names]
    all_methods = [module.METHOD for module in modules if hasattr(module, "METHOD")]
    by_name = {method.name: method for method in sorted(all_methods, key=lambda method: (method.rank, method.name))}
    if len(by_name) < len(all_methods):
        raise ValueError(f"two files of {methods.__name__} have the same method name: {', '.join(by_name)}")
    return by_name


METHODS = _load()
