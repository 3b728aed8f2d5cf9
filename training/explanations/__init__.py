"""Quality of the explanations of a release: each attribution method, measured on images of the test split."""

from training.explanations.figures import ExplanationFigures, MethodFigures
from training.explanations.measure import measure
from training.explanations.sample import Sample, draw

__all__ = ["ExplanationFigures", "MethodFigures", "Sample", "draw", "measure"]
