"""The replayer: a process that lets a version answer copies of requests, and compares the answers.

First the stable version answers them again: a version must agree with itself, or no comparison can be trusted. Then the
candidate answers them. For images with equal labels, both versions explain them too. One request is in flight at a
time, with a rest after it. Bodies are dropped after the comparison.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from models import documents
from models.documents import DocumentError
from models.golden import TOLERANCE, tolerance_of
from serving.rollout.checks import shadow_reasons
from serving.rollout.record import Record, Rollout
from serving.rollout.shadow import answers, reasons
from serving.rollout.shadow.answers import ImageAnswer, UnreadableAnswer
from serving.rollout.shadow.comparison import Pair, first_difference, image_pairs
from serving.rollout.shadow.files import FOLDER, PAIRS, SUMMARY
from serving.rollout.shadow.pictures import Pictures
from serving.rollout.shadow.replay import NoAnswer, ReplayClient, ReplayedAnswer
from serving.rollout.shadow.samples import Sample, SampleServer
from serving.rollout.shadow.summary import ShadowSummary
from serving.rollout.shadow.tally import Tally
from serving.rollout.verdict import Outcome
from serving.runtime import atomic_files

logger = logging.getLogger(__name__)

# Between two writes of the summary, and between two looks for samples.
WRITE_SECONDS = 0.5
# The replayer works for this part of the time, and rests for MAX_REST_SECONDS at most. Any work beside predictions
# delays some of them, even at the lowest priority: it shares caches and memory with them.
DUTY, MAX_REST_SECONDS = 0.1, 3.0
# Maps that are compared at most.
MAX_CORRELATIONS = 2_000
ENGINE_HEADER = "x-model-engine"
# The status of an answer with status 200 that has the form of no protocol, or other images.
UNREADABLE = 0


class Replayer:
    """The comparisons of one rollout. It continues after what is in the folder.

    Args:
        folder: for the summary, the pairs and the pictures.
    """

    def __init__(self, rollout: Rollout, folder: Path, client: ReplayClient) -> None:
        self._rollout, self._folder, self._client = rollout, folder, client
        self._plan = rollout.plan.shadow
        self._tally = Tally(_stored_pairs(folder / PAIRS))
        before = _stored_summary(folder / SUMMARY)
        self._sampled, self._dropped = before.sampled, before.dropped
        self._pictures = Pictures(folder, self._plan.keep_images)
        self._method: str | None = None
        self._has_method = False

    def compare(self, sample: Sample) -> None:
        """Compare an answer with the answer to a copy of its request."""
        self._sampled += 1
        self._dropped += sample.dropped
        itself = self._tally.summary.self_pairs < self._plan.self_pairs
        try:
            expected = answers.parse(sample.answer_headers, sample.answer) if sample.status == 200 else []
            pair = self._compare_with_itself(sample, expected) if itself else self._compare(sample, expected)
        except UnreadableAnswer:  # the stable version's own: the request left the labels out
            return
        except NoAnswer as error:
            logger.info("a sample is not compared: %s", error)
            return
        atomic_files.append_line(self._folder / PAIRS, pair.model_dump_json(exclude_defaults=True))
        self._tally.add(pair)

    def save(self) -> None:
        """Write the summary."""
        summary = self._tally.result(self._sampled, self._dropped)
        atomic_files.write(self._folder / SUMMARY, summary.model_dump_json(indent=2) + "\n")

    def _compare_with_itself(self, sample: Sample, expected: list[ImageAnswer]) -> Pair:
        answer = self._client.predict(self._rollout.stable, sample)
        if not answer.from_handler:
            raise NoAnswer(f"{self._rollout.model} {self._rollout.stable}: its worker died")
        status, images = _read(answer, len(expected))
        engine, other_engine = (headers.get(ENGINE_HEADER, "") for headers in (sample.answer_headers, answer.headers))
        difference: str | None
        if status != sample.status:
            difference = f"status: {sample.status} and {status or answer.status}"
        elif engine != other_engine:
            difference = f"engine: {engine} and {other_engine}"
        else:
            difference = first_difference(expected, images, coarse=tolerance_of(engine) > TOLERANCE)
        if difference is not None:
            logger.warning("%s %s differs from itself: %s", self._rollout.model, self._rollout.stable, difference)
        return Pair(
            itself=True,
            statuses=(sample.status, status),
            milliseconds=answer.milliseconds,
            images=image_pairs(expected, images) if status == sample.status else [],
            difference=difference,
        )

    def _compare(self, sample: Sample, expected: list[ImageAnswer]) -> Pair:
        answer = self._client.predict(self._rollout.candidate, sample)
        status, images = _read(answer, len(expected))
        pair = Pair(itself=False, statuses=(sample.status, status), milliseconds=answer.milliseconds)
        if status == sample.status:
            pair.images = image_pairs(expected, images)
            self._compare_reasons(sample, pair)
            if len(pair.images) == 1:
                self._pictures.add_image(pair.images[0], sample.body)
        return pair

    def _compare_reasons(self, sample: Sample, pair: Pair) -> None:
        """Compare the attribution maps of the images with equal labels."""
        alike = [index for index, image in enumerate(pair.images) if image.labels[0] == image.labels[1]]
        if not alike or not self._wants_maps():
            return
        try:
            stable, candidate = self._maps(sample)
            for index in alike:
                pair.images[index].correlation = reasons.rank_correlation(stable[index], candidate[index])
        except (NoAnswer, ValueError, IndexError) as error:
            logger.info("the attribution maps of a sample are not compared: %s", error)
            return
        for index in alike:
            correlation = pair.images[index].correlation
            assert correlation is not None
            self._pictures.add_maps(pair.images[index].labels[0], correlation, stable[index], candidate[index])

    def _wants_maps(self) -> bool:
        """Return whether to explain a pair: up to the plan's number, and later only if the verdict needs more maps.

        Explanations take much longer than answers, so the plan's number of answers comes before more maps.
        """
        summary = self._tally.summary
        compared = len(summary.correlations)
        if compared < self._plan.explained:
            return True
        if not self._plan.explained or summary.pairs < self._plan.pairs or compared >= MAX_CORRELATIONS:
            return False
        return shadow_reasons.judge(summary, self._plan).outcome is Outcome.INCONCLUSIVE

    def _maps(self, sample: Sample) -> tuple[reasons.Maps, reasons.Maps]:
        """Return the maps of both versions, by the stable version's method if the candidate has it.

        Raises:
            NoAnswer: a version does not explain the images.
            ValueError: an explanation has another form.
        """
        if not self._has_method:
            self._method, self._has_method = self._client.default_method(self._rollout.stable), True
        candidate = self._client.explain(self._rollout.candidate, sample, self._method)
        if candidate.status == 400 and self._method is not None:
            message = "%s does not explain by method %s: each version explains by its default method"
            logger.warning(message, self._rollout.candidate, self._method)
            self._method = None
            candidate = self._client.explain(self._rollout.candidate, sample, None)
        stable = self._client.explain(self._rollout.stable, sample, self._method)
        for version, answer in ((self._rollout.stable, stable), (self._rollout.candidate, candidate)):
            if answer.status != 200:
                raise NoAnswer(f"{version} explains with status {answer.status}")
        return reasons.maps(stable.body), reasons.maps(candidate.body)


def _read(answer: ReplayedAnswer, count: int) -> tuple[int, list[ImageAnswer]]:
    """Return the status of an answer, and its images if the status is 200. There must be `count` of them."""
    if answer.status != 200:
        return answer.status, []
    try:
        images = answers.parse(answer.headers, answer.body)
    except UnreadableAnswer:
        return UNREADABLE, []
    return (200, images) if len(images) == count else (UNREADABLE, [])


def _stored_pairs(path: Path) -> list[Pair]:
    """Return the pairs of an earlier process, without a line that a kill cut short."""
    pairs = []
    try:
        for line in documents.read_json_lines(path):
            try:
                pairs.append(Pair.model_validate(line))
            except ValidationError:
                continue
    except FileNotFoundError:
        pass
    return pairs


def _stored_summary(path: Path) -> ShadowSummary:
    try:
        return ShadowSummary.model_validate(documents.read_json(path))
    except (FileNotFoundError, DocumentError, ValidationError):
        return ShadowSummary()


def pause_after(seconds: float) -> float:
    """Return how long to rest after work of so many seconds."""
    return min(seconds * (1 / DUTY - 1), MAX_REST_SECONDS)


def run(record: Record, samples: Path, proxy: Path, explain_workers: int) -> None:
    """Compare samples until a signal ends this process.

    Args:
        samples: path of the socket to which workers send samples.
        proxy: path of the proxy's private socket.
    """
    rollout = record.load()
    client = ReplayClient(proxy, rollout.model, explain_workers)
    replayer = Replayer(rollout, record.folder / FOLDER, client)
    server = SampleServer(samples)
    try:
        saved, changed = time.monotonic(), True
        while True:
            sample = server.next(WRITE_SECONDS)
            if sample is not None:
                start = time.monotonic()
                replayer.compare(sample)
                changed = True
                time.sleep(pause_after(time.monotonic() - start))
            if changed and time.monotonic() - saved >= WRITE_SECONDS:
                replayer.save()
                saved, changed = time.monotonic(), False
    finally:
        server.close()
        replayer.save()
        client.close()


def main() -> None:
    """Run the replayer of one rollout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, required=True, help="folder of the rollout")
    parser.add_argument("--samples", type=Path, required=True, help="socket for samples of workers")
    parser.add_argument("--proxy", type=Path, required=True, help="private socket of the proxy")
    parser.add_argument("--explain-workers", type=int, required=True, help="explain workers of each version")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="replayer: %(message)s")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    run(Record(arguments.record), arguments.samples, arguments.proxy, arguments.explain_workers)


if __name__ == "__main__":
    main()
