"""The replayer: a process that lets both versions answer samples and compares the answers."""

from __future__ import annotations
