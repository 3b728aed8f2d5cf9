"""All methods on a sample: their maps, and every figure of these."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from tqdm import tqdm

from handlers.classifier import Classifier
from handlers.explain.evidence import faithfulness
from handlers.explain.explainer import Explainer
from handlers.explain.methods import attribution, baselines
from handlers.explain.methods.attribution import Attribution
from handlers.explain.methods.method import Method, TargetScore
from handlers.explain.plugin import AttributionPlugin
from training.explanations import bootstrap, pointing_game, randomization_test, road, stability
from training.explanations.figures import Measured, MethodFigures
from training.explanations.sample import Sample

# Images that are explained between two steps of the progress bar.
AT_ONCE = 16
# Likeness and change cost a method several times over: they are measured on the first images of the sample.
CHECKED = 16
TIMED = 5


def measure(classifier: Classifier, sample: Sample) -> tuple[Measured, dict[str, torch.Tensor]]:
    """Measure every method that is right for the classifier's network; returns their signed maps (N, H, W), too.

    By each method an image of the sample is explained once, and one of the first CHECKED of them eight times;
    faithfulness and ROAD cost 41 passes forward an image more.
    """
    explainer = AttributionPlugin(classifier).explainer
    bench = Bench(classifier, explainer, sample)
    works = explainer.supported
    found: list[MethodFigures] = []
    maps: dict[str, torch.Tensor] = {}
    with tqdm(total=bench.explained * len(works), unit="image", disable=None, leave=False) as bar:
        for name, method in works.items():
            bar.set_description(name)
            figures, maps[name] = bench.figures(method, bar.update)
            found.append(figures)
    measured = Measured(
        images=len(sample),
        checked=len(sample.images[:CHECKED]),
        methods=tuple(found),
        refused=dict(explainer.unsupported),
        random=bootstrap.mean(bench.random),
        center=bootstrap.mean(bench.center),
        object=None if sample.masks is None else float(sample.masks.double().mean()),
    )
    return measured, maps


class Bench:
    """What all methods are measured with: the sample, networks that know nothing, and maps that never looked."""

    def __init__(self, classifier: Classifier, explainer: Explainer, sample: Sample) -> None:
        self.sample = sample
        self.spec = classifier.card.input
        self.target_score = explainer.target_score
        networks = randomization_test.forgetful(classifier.card.architecture, classifier.engine.device)
        self.forgetful = [TargetScore(network, self.target_score.introspection) for network in networks]
        shown = (self.target_score.network, sample.images, sample.weights, sample.blurred)
        self.random, self.center = faithfulness.random_gap(*shown), faithfulness.center_gap(*shown)

    @property
    def explained(self) -> int:
        """Images that are explained by each method, one counted as often as it is."""
        few = len(self.sample.images[:CHECKED])
        return len(self.sample) + few * (randomization_test.NETWORKS + stability.COPIES)

    def figures(self, method: Method, advance: Callable[[int], object]) -> tuple[MethodFigures, torch.Tensor]:
        """The figures of one method, and its maps (N, H, W); `advance` is told of so many images more."""
        sample, network = self.sample, self.target_score.network
        found = list(self._parts(method, self.target_score, sample.images, advance))
        maps = _maps(found)
        adds_up = [one for part in found for row in range(len(part.values)) if (one := part.completeness(row))]
        curves = faithfulness.curves(network, sample.images, sample.weights, maps, sample.blurred)
        deletion, insertion = curves.areas
        few = sample.images[:CHECKED]
        likeness = [
            randomization_test.likeness(maps[:CHECKED], _maps(self._parts(method, other, few, advance)))
            for other in self.forgetful
        ]
        changes = [
            stability.change(maps[:CHECKED], _maps(self._parts(method, self.target_score, noisy, advance)))
            for noisy in stability.noisy(few, self.spec)
        ]
        masks, passes = sample.masks, attribution.passes(method, method.settings)
        figures = MethodFigures(
            name=method.name,
            title=method.title,
            deletion=float(deletion.mean()),
            insertion=float(insertion.mean()),
            gap=bootstrap.mean(curves.gap),
            versus_random=bootstrap.mean(curves.gap - self.random),
            versus_center=bootstrap.mean(curves.gap - self.center),
            road=float(road.road(network, sample.images, sample.weights, maps).mean()),
            completeness=statistics.fmean(one["ok"] for one in adds_up) if adds_up else None,
            likeness=statistics.fmean(one.value for one in likeness),
            spearman=statistics.fmean(one.spearman for one in likeness),
            change=float(torch.stack(changes).amax(dim=0).mean()),
            pointing=None if masks is None else float(pointing_game.pointing(maps, masks).double().mean()),
            mass=None if masks is None else bootstrap.mean(pointing_game.mass(maps, masks)),
            passes=passes.forward + 2 * passes.backward,
            milliseconds=self._milliseconds(method),
        )
        return figures, maps

    def _parts(
        self, method: Method, target_score: TargetScore, images: torch.Tensor, advance: Callable[[int], object]
    ) -> Iterator[Attribution]:
        """The first images of the sample, or noisy ones, as a request that asks for nothing else has them explained."""
        settings = method.settings
        for first in range(0, len(images), AT_ONCE):
            part = images[first : first + AT_ONCE]
            weights = self.sample.weights[first : first + len(part)]
            asked = baselines.attribution_inputs(part, weights, settings, self.spec)
            yield attribution.attribute(method, target_score, asked, settings)
            advance(len(part))

    def _milliseconds(self, method: Method) -> float:
        """Of an image alone: the median of the first TIMED, by one thread."""
        times = []
        with _one_thread():
            for row in range(min(TIMED, len(self.sample))):
                began = time.perf_counter()
                _maps(
                    self._parts(method, self.target_score, self.sample.images[row : row + 1], lambda _: None)
                ).sum().item()
                times.append(1000 * (time.perf_counter() - began))
        return statistics.median(times)


def _maps(parts: Iterator[Attribution] | list[Attribution]) -> torch.Tensor:
    return torch.stack([part.heat(row) for part in parts for row in range(len(part.values))])


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
