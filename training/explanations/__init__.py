"""How good the explanations of a release are: each attribution method, measured on images it was not trained on."""

from training.explanations.figures import Measured, MethodFigures
from training.explanations.measure import measure
from training.explanations.sample import Sample, draw

__all__ = ["Measured", "MethodFigures", "Sample", "draw", "measure"]
