from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.rollout.plan import Plan, Shadow
from serving.rollout.record import Rollout
from serving.rollout.shadow import replay
from serving.rollout.shadow.replay import ReplayClient
from serving.rollout.shadow.replayer import Replayer, pause_after
from serving.rollout.shadow.samples import Sample
from serving.rollout.shadow.summary import ShadowSummary
from tests.unit.serving.rollout.shadow.fake_proxy import HANDLER, Copy, FakeProxy, Reply


def answer(label: str = "three", probability: float = 0.75) -> bytes:
    return json.dumps({"predictions": [{"label": label, "probability": probability}], "decision": "accept"}).encode()


SAMPLE = Sample({}, b"image", 200, {"x-model-engine": "eager"}, answer(), dropped=2)
CARD = json.dumps({"explanations": {"method": "ig"}}).encode()
Serve = Callable[..., Replayer]


def heat(*values: float) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([values], np.float16))
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Make a replayer, whose copies are answered by a function."""
    folder = tmp_path / "shadow"
    folder.mkdir()
    client = ReplayClient(tmp_path / "p", "digits", 1)
    proxies: list[FakeProxy] = []

    def make(reply: Callable[[Copy], Reply] | None = None, **shadow: Any) -> Replayer:
        if reply is not None:
            proxies.append(FakeProxy(tmp_path / "p", reply).__enter__())
        plan = Plan(shadow=Shadow(**{"self_pairs": 0, "explained": 0} | shadow))
        rollout = Rollout(
            id="a", model="digits", stable="1.0", candidate="2.0", actor="a", started="", plan=plan, phase_since=""
        )
        return Replayer(rollout, folder, client)

    yield make
    client.close()
    for proxy in proxies:
        proxy.__exit__(None, None, None)


def summary(replayer: Replayer, folder: Path) -> ShadowSummary:
    replayer.save()
    return ShadowSummary.model_validate_json((folder / "shadow" / "summary.json").read_text())


def test_the_stable_version_is_compared_with_itself_first(tmp_path: Path, serve: Serve) -> None:
    paths = []

    def reply(copy: Copy) -> Reply:
        paths.append(copy.path.rpartition("/")[2])
        return Reply(body=answer())

    replayer = serve(reply, self_pairs=2)
    for _ in range(3):
        replayer.compare(SAMPLE)
    assert paths == ["1.0", "1.0", "2.0"]
    result = summary(replayer, tmp_path)
    assert (result.self_pairs, result.self_differences, result.pairs, result.images) == (2, 0, 1, 1)
    assert (result.sampled, result.dropped) == (3, 6)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=answer(probability=0.7501)),
        Reply(415),
        Reply(body=b"{}"),
        Reply(body=b'{"results": []}'),
        Reply(body=answer(), headers={**HANDLER, "X-Model-Engine": "aoti-fp32"}),
    ],
)
def test_a_stable_version_that_differs_from_itself_is_counted(tmp_path: Path, serve: Serve, reply: Reply) -> None:
    replayer = serve(lambda copy: reply, self_pairs=5)
    replayer.compare(SAMPLE)
    result = summary(replayer, tmp_path)
    assert (result.self_pairs, result.self_differences) == (1, 1)


def test_an_engine_of_fewer_bits_may_round_differently(tmp_path: Path, serve: Serve) -> None:
    headers = {**HANDLER, "X-Model-Engine": "aoti-int8"}
    replayer = serve(lambda copy: Reply(body=answer(probability=0.7501), headers=headers), self_pairs=5)
    replayer.compare(Sample({}, b"image", 200, {"x-model-engine": "aoti-int8"}, answer()))
    result = summary(replayer, tmp_path)
    assert (result.self_pairs, result.self_differences) == (1, 0)


def test_a_worker_of_the_stable_version_that_dies_is_no_difference(tmp_path: Path, serve: Serve) -> None:
    replayer = serve(lambda copy: Reply(500, headers={}), self_pairs=5)
    replayer.compare(SAMPLE)
    assert summary(replayer, tmp_path).self_pairs == 0


@pytest.mark.parametrize(
    "reply", [Reply(500, headers={}), Reply(415), Reply(body=b"[]"), Reply(body=b'{"results": []}')]
)
def test_a_candidate_without_the_answer_has_another_status(tmp_path: Path, serve: Serve, reply: Reply) -> None:
    replayer = serve(lambda copy: reply)
    replayer.compare(SAMPLE)
    result = summary(replayer, tmp_path)
    assert (result.pairs, result.images, result.status_differences) == (1, 1, 1)


def test_equal_errors_are_a_pair_without_images(tmp_path: Path, serve: Serve) -> None:
    replayer = serve(lambda copy: Reply(415))
    replayer.compare(Sample({}, b"text", 415, {}, b"{}"))
    result = summary(replayer, tmp_path)
    assert (result.pairs, result.images, result.status_differences) == (1, 0, 0)


def test_an_overloaded_candidate_makes_no_pair(tmp_path: Path, serve: Serve) -> None:
    replayer = serve(lambda copy: Reply(503, headers={}))
    replayer.compare(SAMPLE)
    result = summary(replayer, tmp_path)
    assert (result.sampled, result.pairs) == (1, 0)


def test_an_answer_of_unknown_form_is_not_compared(tmp_path: Path, serve: Serve) -> None:
    replayer = serve(lambda copy: Reply(body=answer()))
    replayer.compare(Sample({}, b"image", 200, {}, b"{}"))
    assert summary(replayer, tmp_path).pairs == 0


def explaining(copy: Copy) -> Reply:
    """Answer for both versions: 1.0 explains by ig, and 2.0 looks elsewhere."""
    if copy.headers.get("describe"):
        return Reply(body=CARD)
    if copy.path.startswith("/predictions/"):
        return Reply(body=answer(probability=0.5))
    return Reply(body=heat(1, 2, 3) if copy.path.endswith("1.0") else heat(3, 2, 1))


def test_images_with_equal_labels_are_explained_by_one_method(tmp_path: Path, serve: Serve) -> None:
    methods = []

    def reply(copy: Copy) -> Reply:
        if copy.path.startswith("/explanations/"):
            methods.append(copy.headers["x-explain-method"])
        return explaining(copy)

    replayer = serve(reply, explained=1, pairs=2)
    replayer.compare(SAMPLE)
    replayer.compare(SAMPLE)
    result = summary(replayer, tmp_path)
    assert result.correlations == [-1.0]
    assert result.largest_change == 0.25
    assert methods == ["ig", "ig"]
    pictures = json.loads((tmp_path / "shadow" / "pictures.json").read_text())
    assert pictures["maps"] == [{"label": "three", "correlation": -1.0, "number": 0}]
    assert (tmp_path / "shadow" / "maps" / "00-candidate.png").exists()
    assert list((tmp_path / "shadow" / "images").iterdir()) == []


def test_more_maps_are_compared_after_the_answers(tmp_path: Path, serve: Serve) -> None:
    replayer = serve(explaining, explained=1, pairs=3)
    numbers = []
    for _ in range(5):
        replayer.compare(SAMPLE)
        numbers.append(len(summary(replayer, tmp_path).correlations))
    assert numbers == [1, 1, 1, 2, 3]


def test_no_more_maps_are_compared_once_the_verdict_is_clear(tmp_path: Path, serve: Serve) -> None:
    replayer = serve(explaining, explained=1, pairs=1)
    for _ in range(40):
        replayer.compare(SAMPLE)
    result = summary(replayer, tmp_path)
    assert result.pairs == 40
    assert 5 < len(result.correlations) < 25


def test_a_candidate_without_the_method_is_compared_by_default_methods(tmp_path: Path, serve: Serve) -> None:
    def reply(copy: Copy) -> Reply:
        if copy.path == "/explanations/digits-explain/2.0" and "x-explain-method" in copy.headers:
            return Reply(400)
        return explaining(copy)

    replayer = serve(reply, explained=5)
    replayer.compare(SAMPLE)
    assert summary(replayer, tmp_path).correlations == [-1.0]


def test_other_labels_are_not_explained(tmp_path: Path, serve: Serve) -> None:
    def reply(copy: Copy) -> Reply:
        assert copy.path.startswith("/predictions/")
        return Reply(body=answer("eight"))

    replayer = serve(reply, explained=5)
    replayer.compare(SAMPLE)
    result = summary(replayer, tmp_path)
    assert (result.label_differences, result.labels, result.correlations) == (1, {"three": {"eight": 1}}, [])


@pytest.mark.parametrize("reply", [Reply(500), Reply(body=b"no array"), Reply(503, headers={})])
def test_a_pair_counts_without_its_explanations(tmp_path: Path, serve: Serve, reply: Reply) -> None:
    replayer = serve(lambda copy: reply if copy.path.startswith("/explanations/") else explaining(copy), explained=5)
    replayer.compare(SAMPLE)
    result = summary(replayer, tmp_path)
    assert (result.pairs, result.correlations) == (1, [])


def test_a_new_process_continues_after_what_is_stored(tmp_path: Path, serve: Serve) -> None:
    replayer = serve(explaining, explained=1)
    replayer.compare(SAMPLE)
    before = summary(replayer, tmp_path)
    with (tmp_path / "shadow" / "pairs.jsonl").open("a") as file:
        file.write('{"itself": fal')  # a kill in the middle of a line
    again = serve(explained=1)
    assert summary(again, tmp_path) == before
    again.compare(SAMPLE)
    again.save()
    result = summary(serve(), tmp_path)
    assert (result.pairs, result.sampled, len(result.correlations)) == (2, 2, 1)


def test_no_body_is_stored(tmp_path: Path, serve: Serve) -> None:
    replayer = serve(explaining)
    replayer.compare(Sample({"x-request-id": "secret"}, b"secret", 200, {}, answer()))
    replayer.save()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "shadow").rglob("*") if path.is_file())
    assert b"secret" not in stored


def test_the_replayer_rests_most_of_the_time_and_not_for_long() -> None:
    assert pause_after(0.01) == pytest.approx(0.09)
    assert pause_after(10) == 3.0
