"""A release and its data -> the release with compiled programs that passed the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from handlers import golden
from handlers.classifier import Classifier
from handlers.engines import EAGER, Engine, EngineError, Outputs
from handlers.engines.compiled import Program
from handlers.engines.eager import Eager
from handlers.trust import Judge
from models.card import Card, Compiled
from models.golden import ANSWERS, FOLDER, Golden
from models.release import REPORT, Release, verify_digests
from training import pixels
from training.compress import aoti, gate, timing
from training.compress.adopt import adopt, draft
from training.compress.build import build, device_of
from training.compress.candidates import Candidates
from training.compress.errors import CompressError
from training.compress.figures import OnTest, Optimised, on_test
from training.compress.sample import draw
from training.data.dataset import Dataset
from training.evaluate import Evaluation, matched
from training.measure import seen
from training.pixels import Source
from training.report import engines as page


def optimise(
    release: Release, dataset: Dataset, candidates: Candidates, say: Callable[[str], None], march: str | None = None
) -> Optimised:
    """Compile the release's network, judge each program on the calibration split, and put those that pass into it.

    The test split decides nothing; it is measured for the report.

    Args:
        march: the level of CPUs to compile for, as of level.find.

    Raises:
        CompressError: it cannot be compiled here, or the data are not those that the release was made from.
        ReleaseError, EngineError, TrustError, DataError: the release or the data are not whole.
    """
    folder, card = release.folder, release.card
    aoti.check()
    verify_digests(folder, card)
    if card.data.sha256 != dataset.sha256:
        raise CompressError(
            f"{card.name} {card.version} was not trained on {dataset.name} as it is now: its own calibration split "
            "decides which program may answer, so give the data that it was made from (DATA=...)"
        )
    calibration, test = (
        pixels.load(matched(split, dataset.classes, card), card.input, torch.device("cpu"))
        for split in (dataset.calibration, dataset.test)
    )
    with draft(folder) as prepared:
        bench = _Bench(folder, card, calibration, test, prepared, march, say)
        entries: list[Compiled] = []
        tested: dict[str, OnTest] = {}
        left = dict(candidates.left)
        for device in dict.fromkeys(map(device_of, candidates.names)):
            names = [name for name in candidates.names if device_of(name) == device]
            found = bench.on(device, names)
            entries += found.entries
            tested |= found.tested
            left |= found.failed
        outcome = Optimised(
            card=card.model_copy(update={"engines": tuple(entries)}),
            data=dataset.name,
            tested=tested,
            left=left,
        )
        page.write(prepared / REPORT, outcome)
        adopt(folder, prepared, entries)
    page.link(folder / REPORT)
    return outcome


@dataclass(frozen=True, slots=True)
class _Found:
    """What came of one device's programs: entries in their order, test figures by name, what does not compile."""

    entries: list[Compiled]
    tested: dict[str, OnTest]
    failed: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Bench:
    """What programs are made from, measured on, and put into."""

    folder: Path
    card: Card
    calibration: Source
    test: Source
    prepared: Path
    march: str | None
    say: Callable[[str], None]

    def on(self, device: torch.device, names: Sequence[str]) -> _Found:
        """Compile, measure and judge the programs of one device, and write golden answers of those that pass."""
        engines: dict[str, Engine] = {EAGER: Eager.load(self.folder, self.card, device)}
        entries, failed = {}, {}
        ranged = draw(self.calibration, self.card.input)
        for name in names:
            self.say(f"{name}: compiling")
            try:
                entries[name] = build(self.folder, self.card, name, ranged, self.prepared, self.march)
                engines[name] = Program.load(self.prepared, self.card, entries[name], device)
            except (CompressError, EngineError) as error:
                failed[name] = str(error)
                entries.pop(name, None)
        self.say(f"measuring on {len(self.calibration.labels)} and {len(self.test.labels)} images")
        judges = {name: Judge.load(self.folder, self.card, engine) for name, engine in engines.items()}
        took = timing.milliseconds(engines, self.card.input.size)
        network = self._answers(engines[EAGER], judges[EAGER], self.calibration)
        for name in entries:
            program = self._answers(engines[name], judges[name], self.calibration)
            entries[name] = gate.judged(entries[name], network, program, took[name], took[EAGER])
        passed = {name: engine for name, engine in engines.items() if name == EAGER or entries[name].refused is None}
        for name in passed.keys() - {EAGER}:
            classifier = Classifier(self.card, engines[name], judge=judges[name], folder=self.folder)
            golden.write(self.prepared, classifier, golden_images(self.folder))
        answers = {name: self._answers(engine, judges[name], self.test) for name, engine in passed.items()}
        order = sorted(entries, key=lambda name: (name not in passed, took[name]))
        tested = {name: on_test(answers[EAGER], one) for name, one in answers.items()}
        return _Found([entries[name] for name in order], tested, failed)

    def _answers(self, engine: Engine, judge: Judge | None, source: Source) -> Evaluation:
        """What an engine makes of a split, judged as served."""
        logits, embeddings = [], []
        for _, rows in seen(source, self.card.input):
            outputs = engine.outputs(rows)
            logits.append(outputs.logits)
            embeddings.append(outputs.embeddings)
        outputs = Outputs(torch.cat(logits), torch.cat(embeddings))
        return Evaluation.of(self.card, judge, outputs, source.labels.tolist())


def golden_images(folder: Path) -> dict[str, bytes]:
    """The golden images of a release, by file name."""
    answers = Golden.from_json((folder / ANSWERS).read_bytes())
    return {name: (folder / FOLDER / name).read_bytes() for name in answers.probabilities}
