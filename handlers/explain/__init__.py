"""Why the network answered so: the attribution methods that requests may ask for, by name.

A method is a file of this package with `METHOD = Method(...)`, see method.py, and stands in the list below. Nothing
else has to change to add one.
"""

from __future__ import annotations

from handlers.explain.methods import deeplift, gradcam, gradshap, ig, ixg, kernelshap, layercam, occlusion
from handlers.explain.methods.method import Method

METHODS: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (ig, gradcam, layercam, ixg, deeplift, gradshap, occlusion, kernelshap)
}
DEFAULT_METHOD = ig.METHOD.name
