"""`make optimize`: compile a release's network, and install the engines that pass the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.engines import EAGER, Engine, EngineError, Outputs
from handlers.engines.compiled import Program
from handlers.engines.eager import Eager
from handlers.uncertainty import UncertaintyEstimator
from handlers.uncertainty.observation import observe
from models.card import Card, Compiled
from models.golden import ANSWERS, FOLDER, Golden
from models.release import REPORT, Release, verify_digests
from training.compile import gate, page, timing
from training.compile.candidates import Candidates
from training.compile.errors import CompileError
from training.compile.figures import OnTest, Optimized, on_test
from training.compile.install import draft, install
from training.compile.programs import aoti
from training.compile.programs.build import build, device_of
from training.compile.programs.sample import draw
from training.data.dataset import Dataset
from training.evaluate import Evaluation, matched
from training.loop import loader
from training.loop.loader import BatchSource
from training.loop.measure import seen


def optimize(
    release: Release, dataset: Dataset, candidates: Candidates, say: Callable[[str], None], march: str | None = None
) -> Optimized:
    """Compile the release's network, evaluate each engine on the calibration split, and install those that pass.

    The test split is measured for the report only.

    Args:
        march: CPU level to compile for, see cpu_level.find.

    Raises:
        CompileError: nothing can be compiled here, or the release was trained on other data.
        ReleaseError, EngineError, UncertaintyError, DataError: the release or the data are damaged.
    """
    folder, card = release.folder, release.card
    aoti.check()
    verify_digests(folder, card)
    if card.data.sha256 != dataset.sha256:
        raise CompileError(
            f"{card.name} {card.version} was not trained on {dataset.name} as it is now: its own calibration split "
            "decides which programs may serve, so give the data that it was trained on with --data"
        )
    calibration, test = (
        loader.load(matched(split, dataset.classes, card), card.input, torch.device("cpu"))
        for split in (dataset.calibration, dataset.test)
    )
    with draft(folder) as prepared:
        bench = _Bench(folder, card, calibration, test, prepared, march, say)
        entries: list[Compiled] = []
        tested: dict[str, OnTest] = {}
        skipped = dict(candidates.skipped)
        for device in dict.fromkeys(map(device_of, candidates.names)):
            names = [name for name in candidates.names if device_of(name) == device]
            results = bench.on(device, names)
            entries += results.entries
            tested |= results.tested
            skipped |= results.failed
        outcome = Optimized(
            card=card.model_copy(update={"engines": tuple(entries)}),
            data=dataset.name,
            tested=tested,
            skipped=skipped,
        )
        page.write(prepared / REPORT, outcome)
        install(folder, prepared, entries)
    page.link(folder / REPORT)
    return outcome


@dataclass(frozen=True, slots=True)
class _DeviceResults:
    """Results for one device: card entries in order, test figures by name, and compilation errors by name."""

    entries: list[Compiled]
    tested: dict[str, OnTest]
    failed: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Bench:
    """Inputs and output folder of the compilation."""

    folder: Path
    card: Card
    calibration: BatchSource
    test: BatchSource
    prepared: Path
    march: str | None
    say: Callable[[str], None]

    def on(self, device: torch.device, names: Sequence[str]) -> _DeviceResults:
        """Compile and evaluate the engines of one device, and write golden answers of those that pass.

        An int8 engine that loses too much is compiled again, with the first convolution in float32.
        """
        eager = Eager.load(self.folder, self.card, device)
        network = self._evaluate(eager, self.calibration)
        ranged = draw(self.calibration, self.card.input)
        programs: dict[str, Engine] = {}
        entries, failed = {}, {}
        for name in names:
            self.say(f"{name}: compiling")
            try:
                entries[name], programs[name] = self._compiled(name, ranged)
            except (CompileError, EngineError) as error:
                failed[name] = str(error)
        self.say(f"measuring on {len(self.calibration.labels)} and {len(self.test.labels)} images")
        entries = self._gated(entries, programs, eager, network)
        for name, entry in entries.items():
            if name.endswith("int8") and entry.quality is not None and gate.degradation(entry.quality) is not None:
                self.say(f"{name}: {entry.rejection}; compiling again, with the first convolution in float32")
                try:
                    second, programs[name] = self._compiled(name, ranged, spare_first=True)
                except (CompileError, EngineError) as error:
                    self.say(f"{name}: {error}")
                else:
                    entries = self._gated(entries | {name: second}, programs, eager, network)
        passed: dict[str, Engine] = {EAGER: eager}
        passed |= {name: programs[name] for name, entry in entries.items() if entry.rejection is None}
        for name in passed.keys() - {EAGER}:
            estimator = UncertaintyEstimator.load(self.folder, self.card, passed[name])
            golden_answers.write(
                self.prepared,
                Classifier(self.card, passed[name], estimator=estimator, folder=self.folder),
                golden_images(self.folder),
            )
        evaluations = {name: self._evaluate(engine, self.test) for name, engine in passed.items()}
        tested = {name: on_test(evaluations[EAGER], evaluation) for name, evaluation in evaluations.items()}
        order = sorted(
            entries.values(),
            key=lambda entry: (entry.rejection is not None, entry.quality.milliseconds if entry.quality else 0),
        )
        return _DeviceResults(order, tested, failed)

    def _compiled(self, name: str, ranged: torch.Tensor, *, spare_first: bool = False) -> tuple[Compiled, Program]:
        """Compile one engine, and load it."""
        entry = build(self.folder, self.card, name, ranged, self.prepared, self.march, spare_first=spare_first)
        return entry, Program.load(self.prepared, self.card, entry, device_of(name))

    def _gated(
        self, entries: Mapping[str, Compiled], programs: Mapping[str, Engine], eager: Engine, network: Evaluation
    ) -> dict[str, Compiled]:
        """Return the entries with their quality and rejection; timed in interleaved rounds."""
        took = timing.milliseconds({EAGER: eager, **programs}, self.card.input.size)
        return {
            name: gate.evaluated(
                entry, network, self._evaluate(programs[name], self.calibration), took[name], took[EAGER]
            )
            for name, entry in entries.items()
        }

    def _evaluate(self, engine: Engine, source: BatchSource) -> Evaluation:
        """Evaluate an engine on a split, with uncertainty as served."""
        outputs = Outputs.cat([observe(engine, pixels) for _, pixels in seen(source, self.card.input)])
        estimator = UncertaintyEstimator.load(self.folder, self.card, engine)
        return Evaluation.of(self.card, estimator, outputs, source.labels.tolist())


def golden_images(folder: Path) -> dict[str, bytes]:
    """Return the golden images of a release, by file name."""
    answers = Golden.from_json((folder / ANSWERS).read_bytes())
    return {name: (folder / FOLDER / name).read_bytes() for name in answers.probabilities}
