"""The sentence on top: a person reads what happened, why, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.rollout.phase import RolloutPhase
from serving.rollout.report import figures
from serving.rollout.report.headline import Headline, headline, port_of
from serving.rollout.report.words import SPACE
from serving.rollout.verdict import Outcome
from tests.support import rollout_records
from tests.support.rollout_records import Recorder


def of(recorder: Recorder, port: int = 8080) -> Headline:
    return headline(recorder.rollout, figures.parse_all(recorder.record.figures()), port)


def test_rollout_that_went_through_says_so(tmp_path: Path) -> None:
    top = of(rollout_records.done(tmp_path))
    assert (top.status, top.tone, top.advice) == ("Done", "good", "")
    assert top.sentence == "Version 2.0 of digits now answers all requests. It passed all 10 checks."
    assert top.traffic == (
        f"Clients got 4,850 answers from version 2.0: 2 of them were errors (0.04{SPACE}%; version 1.0 in the same "
        f"time: 0.07{SPACE}%)."
    )


def test_promotion_by_a_person_names_the_checks_without_a_pass(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    recorder.verdict(121, "shadow_reasons", Outcome.FAIL, "they differ", holds=True)
    recorder.enter(122, RolloutPhase.DONE)
    assert of(recorder).sentence == (
        "Version 2.0 of digits now answers all requests. It passed 5 of 10 checks. A person went on although a check "
        "failed: same reasons. Without a verdict: errors, slow responses and referred images."
    )


def test_rollback_names_cause_and_figures(tmp_path: Path) -> None:
    top = of(rollout_records.rolled_back(tmp_path))
    assert (top.status, top.tone) == ("Rolled back", "bad")
    assert top.sentence == (
        "Version 2.0 of digits was rolled back because it fails more requests than version 1.0. Version 1.0 answers "
        "all requests."
    )
    assert top.evidence == "Errors: candidate 12 of 60, stable 2 of 1,490 (e-value 5,000, limit 300)."
    assert "Clients got 60 answers from version 2.0: 12 of them were errors" in top.traffic


def test_rollback_before_the_canary_reached_no_client(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.rollout.reason = "aborted by ada@lab"
    recorder.enter(5, RolloutPhase.ROLLED_BACK)
    top = of(recorder)
    assert top.sentence == (
        "Version 2.0 of digits was rolled back: aborted by ada@lab. Version 1.0 answers all requests."
    )
    assert top.traffic == "No client has got an answer from version 2.0."


def test_pause_says_who_answers_and_how_to_go_on(tmp_path: Path) -> None:
    top = of(rollout_records.held(tmp_path), port=9000)
    assert top.status == "Waits for you"
    assert top.sentence == (
        "The rollout of version 2.0 of digits is paused because it gives the same answers for other reasons: it looks "
        "at other parts of the images. Version 1.0 answers all requests meanwhile."
    )
    assert "`torchlight rollout resume --model digits --port 9000`" in top.advice
    assert "`torchlight rollout abort --model digits --port 9000`" in top.advice


def test_pause_without_a_verdict_has_no_names_of_the_code(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.enter(10, RolloutPhase.SHADOW)
    recorder.pause(3610, "no verdict after 3600 s: 0 of 300 pairs; shadow_answers, shadow_reasons inconclusive")
    assert of(recorder).sentence == (
        "The rollout of version 2.0 of digits is paused: no verdict after 3600 s: 0 of 300 pairs; same answers, same "
        "reasons inconclusive. Version 1.0 answers all requests meanwhile."
    )


def test_pause_in_the_canary_says_that_the_share_stays(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    recorder.pause(130, "by eve@lab")
    assert of(recorder).sentence == (
        "The rollout of version 2.0 of digits is paused: by eve@lab. Meanwhile version 2.0 still answers "
        f"5{SPACE}% of the requests."
    )


def test_failed_rollback_calls_for_a_person(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    recorder.rollout.reason = "the proxy does not answer"
    recorder.enter(130, RolloutPhase.NEEDS_HUMAN)
    top = of(recorder)
    assert (top.status, top.tone) == ("Needs a person", "bad")
    assert "and so did the way back: the proxy does not answer." in top.sentence
    assert "`torchlight versions promote --model digits --version 1.0`" in top.advice


@pytest.mark.parametrize("phase", [phase for phase in RolloutPhase if not phase.is_final])
def test_every_phase_has_a_sentence(phase: RolloutPhase, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.enter(5, phase)
    top = of(recorder)
    assert "2.0 of digits" in top.sentence
    assert top.sentence.endswith(".")
    assert phase.value.replace("_", " ") not in top.sentence or phase is RolloutPhase.ROLLING_BACK


def test_canary_names_share_and_step(tmp_path: Path) -> None:
    top = of(rollout_records.until_canary(tmp_path))
    assert top.sentence == f"Version 2.0 of digits answers 5{SPACE}% of the requests (step 2 of 4)."
    assert top.traffic == "Clients got 50 answers from version 2.0, without an error."


@pytest.mark.parametrize(("folder", "port"), [(".run/9000/rollouts/x", 9000), ("elsewhere/x", 8080)])
def test_port_is_that_of_the_servers_folder(folder: str, port: int) -> None:
    assert port_of(Path(folder)) == port
