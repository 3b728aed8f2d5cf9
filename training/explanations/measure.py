"""Measurement of all methods on a sample: their maps and figures."""

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
from handlers.explain.methods import attribution
from handlers.explain.methods.attribution import Attribution
from handlers.explain.methods.method import Method, TargetScore
from handlers.explain.plugin import AttributionPlugin
from training.explanations import bootstrap, pointing_game, randomization_test, remove_and_debias, stability
from training.explanations.figures import ExplanationFigures, MethodFigures
from training.explanations.sample import Sample

# Images between two steps of the progress bar.
CHUNK = 16
# The randomization test and stability cost a method several times over, so they use the first images of the sample.
CHECKED_IMAGES = 16
TIMED_IMAGES = 5
GAP_DIGITS = 6


def measure(classifier: Classifier, sample: Sample) -> tuple[ExplanationFigures, dict[str, torch.Tensor]]:
    """Measure every method that fits the network; return the figures, and the signed maps (N, H, W) by method.

    Each method explains an image of the sample once, and the first CHECKED_IMAGES eight times. Faithfulness and
    remove-and-debias cost 41 more forward passes for each image. Maps without evidence are zeros.
    """
    explainer = AttributionPlugin(classifier).explainer
    evaluator = MethodEvaluator(classifier, explainer, sample)
    supported = explainer.supported
    methods: list[MethodFigures] = []
    maps: dict[str, torch.Tensor] = {}
    with tqdm(total=evaluator.explanations * len(supported), unit="image", disable=None, leave=False) as bar:
        for name, method in supported.items():
            bar.set_description(name)
            figures, maps[name] = evaluator.figures(method, bar.update)
            methods.append(figures)
    figures_of_all = ExplanationFigures(
        images=len(sample),
        checked_images=len(sample.images[:CHECKED_IMAGES]),
        methods=tuple(methods),
        unsupported=dict(explainer.unsupported),
        random_gap=bootstrap.mean(evaluator.random_gap),
        center_gap=bootstrap.mean(evaluator.center_gap),
        insertion_from_mean=float((~evaluator.start.blurred).double().mean()),
        insertion_start=float(evaluator.start_probability.mean()),
        object_share=None if sample.masks is None else float(sample.masks.double().mean()),
    )
    return figures_of_all, maps


class MethodEvaluator:
    """Evaluator of methods: the sample, networks with random weights, and the gaps of trivial maps."""

    def __init__(self, classifier: Classifier, explainer: Explainer, sample: Sample) -> None:
        self.sample = sample
        self.spec = classifier.card.input
        self.explainer, self.target_score = explainer, explainer.target_score
        networks = randomization_test.random_networks(classifier.card.architecture, classifier.engine.device)
        self.random_scores = [TargetScore(network, self.target_score.introspection) for network in networks]
        network = self.target_score.network
        self.start = faithfulness.insertion_start(network, sample.images, sample.weights)
        self.start_probability = faithfulness.probabilities(network, self.start.images, sample.weights)
        arguments = (network, sample.images, sample.weights, self.start.images)
        self.random_gap, self.center_gap = faithfulness.random_gap(*arguments), faithfulness.center_gap(*arguments)

    @property
    def explanations(self) -> int:
        """Return the number of explanations by each method."""
        checked_images = len(self.sample.images[:CHECKED_IMAGES])
        return len(self.sample) + checked_images * (randomization_test.NETWORKS + stability.COPIES)

    def figures(self, method: Method, advance: Callable[[int], object]) -> tuple[MethodFigures, torch.Tensor]:
        """Return the figures of one method, and its maps to show, (N, H, W).

        Args:
            advance: called with the number of images after each chunk.
        """
        sample, network = self.sample, self.target_score.network
        chunks = list(self._chunks(method, self.target_score, sample.images, advance))
        maps = _maps(chunks)
        checks = [chunk.completeness(row) for chunk in chunks for row in range(len(chunk.values))]
        complete = [check["ok"] for check in checks if check]
        curves = faithfulness.curves(network, sample.images, sample.weights, maps, self.start.images)
        deletion, insertion = curves.areas
        checked_images = sample.images[:CHECKED_IMAGES]
        similarities = [
            randomization_test.similarity(
                maps[:CHECKED_IMAGES], _maps(self._chunks(method, random_score, checked_images, advance))
            )
            for random_score in self.random_scores
        ]
        changes = [
            stability.relative_change(
                maps[:CHECKED_IMAGES], _maps(self._chunks(method, self.target_score, noisy, advance))
            )
            for noisy in stability.noisy(checked_images, self.spec)
        ]
        masks, passes = sample.masks, attribution.passes(method, method.settings)
        shown_maps = torch.stack([chunk.visible_heat(row) for chunk in chunks for row in range(len(chunk.values))])
        figures = MethodFigures(
            name=method.name,
            title=method.title,
            deletion=float(deletion.mean()),
            insertion=float(insertion.mean()),
            gap=bootstrap.mean(curves.gap),
            gaps=tuple(round(gap, GAP_DIGITS) for gap in curves.gap.tolist()),
            versus_random=bootstrap.mean(curves.gap - self.random_gap),
            versus_center=bootstrap.mean(curves.gap - self.center_gap),
            remove_and_debias=float(
                remove_and_debias.remove_and_debias(network, sample.images, sample.weights, maps).mean()
            ),
            completeness=statistics.fmean(complete) if complete else None,
            randomization_test=statistics.fmean(similarity.value for similarity in similarities),
            spearman=statistics.fmean(similarity.spearman for similarity in similarities),
            unsigned=statistics.fmean(similarity.unsigned for similarity in similarities),
            stability=float(torch.stack(changes).amax(dim=0).mean()),
            pointing_game=None if masks is None else float(pointing_game.hits(maps, masks).double().mean()),
            relevance_mass=None if masks is None else bootstrap.mean(pointing_game.relevance_mass(maps, masks)),
            passes=passes.forward + 2 * passes.backward,
            milliseconds=self._milliseconds(method),
        )
        return figures, shown_maps

    def _chunks(
        self, method: Method, target_score: TargetScore, images: torch.Tensor, advance: Callable[[int], object]
    ) -> Iterator[Attribution]:
        """Explain the first images of the sample, or noisy copies of them, with default settings."""
        settings = method.settings
        for first in range(0, len(images), CHUNK):
            chunk = images[first : first + CHUNK]
            weights = self.sample.weights[first : first + len(chunk)]
            inputs = self.explainer.attribution_inputs(chunk, weights, settings)
            yield attribution.attribute(method, target_score, inputs, settings)
            advance(len(chunk))

    def _milliseconds(self, method: Method) -> float:
        """Return the time for one image: the median of the first TIMED_IMAGES, on one thread."""
        times = []
        with _one_thread():
            for row in range(min(TIMED_IMAGES, len(self.sample))):
                image = self.sample.images[row : row + 1]
                start = time.perf_counter()
                _maps(self._chunks(method, self.target_score, image, lambda _: None)).sum().item()
                times.append(1000 * (time.perf_counter() - start))
        return statistics.median(times)


def _maps(chunks: Iterator[Attribution] | list[Attribution]) -> torch.Tensor:
    return torch.stack([chunk.heat(row) for chunk in chunks for row in range(len(chunk.values))])


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
