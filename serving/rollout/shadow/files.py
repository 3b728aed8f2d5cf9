"""Names of the files of a shadow, in the folder of its rollout."""

from __future__ import annotations

FOLDER = "shadow"
# Counts of all pairs.
SUMMARY = "summary.json"
# The figures of each pair, one line each.
PAIRS = "pairs.jsonl"
# Descriptions of the pictures in `maps/` and `images/`.
PICTURES = "pictures.json"
