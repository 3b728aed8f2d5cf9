"""report.html of a rollout: what happened and why, for a person. It can be written at any time of a rollout."""

from serving.rollout.report.page import write

__all__ = ["write"]
