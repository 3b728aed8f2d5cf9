from __future__ import annotations

from pathlib import Path

from serving.rollout.phase import RolloutPhase
from serving.rollout.report import check_names, evidence, figures, periods, rows
from serving.rollout.report.rows import MAX_ENTRIES
from serving.rollout.report.words import SPACE
from tests.support import rollout_records


def test_every_check_has_a_row_in_the_order_of_the_rollout(tmp_path: Path) -> None:
    parts = rows.checks(rollout_records.rolled_back(tmp_path).rollout)
    assert [(row.title, row.state) for row in parts] == [
        ("Archive", "pass"),
        ("Golden answers", "pass"),
        ("Speed on golden images", "pass"),
        ("Workers", "pass"),
        ("Same answers", "pass"),
        ("Same reasons", "pass"),
        ("Errors", "fail"),
        ("Slow responses", "no verdict"),
        ("Referred images", "no verdict"),
        ("After the promotion", "did not run"),
    ]
    assert parts[6].question == "Does version 2.0 fail more requests of clients than version 1.0?"


def test_checks_of_the_code_have_words() -> None:
    folder = Path(check_names.__file__).parents[1] / "checks"
    names = {path.stem for path in folder.glob("*.py") if "\nNAME = " in path.read_text(encoding="utf-8")}
    assert names <= check_names.CHECKS.keys()


def test_plan_without_shadow_expects_no_shadow_checks(tmp_path: Path) -> None:
    plan = {"shadow": {"pairs": 0}, "canary": {"shares": []}}
    recorder = rollout_records.Recorder(tmp_path, plan=plan)
    assert [row.title for row in rows.checks(recorder.rollout)] == [
        "Archive",
        "Golden answers",
        "Speed on golden images",
        "Workers",
        "After the promotion",
    ]


def test_steps_have_the_figures_of_the_versions_that_answered(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    parts = evidence.collect(recorder.record, recorder.entries)
    steps = rows.steps(periods.of(parts), parts.moments)
    assert [
        (
            step.name.replace(SPACE, " "),
            step.duration.replace(SPACE, " "),
            [(arm, one.requests) for arm, one in step.arms],
        )
        for step in steps
    ] == [
        ("preparation", "10 s", []),
        ("shadow", "30 s", [("stable", 300)]),
        ("canary 1 %", "1 min", [("stable", 990), ("candidate", 10)]),
        ("canary 5 %", "20 s", [("stable", 380), ("candidate", 40)]),
        ("promote", "1 s", []),
        ("baking", "4 min", [("candidate", 4800)]),
    ]
    assert figures.stages(parts.moments)[1].phase == RolloutPhase.CANARY.value


def test_journal_is_cut_at_its_beginning(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    for second in range(MAX_ENTRIES):
        recorder.write(200, "noted", second=second)
    journal, earlier = rows.journal(evidence.collect(recorder.record, recorder.entries))
    assert (len(journal), earlier, journal[-1].details) == (MAX_ENTRIES, 10, f"second: {MAX_ENTRIES - 1}")


def test_journal_says_shares_and_digests_shortly(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    journal, _ = rows.journal(evidence.collect(recorder.record, recorder.entries))
    details = {row.step: row.details.replace(SPACE, " ") for row in journal}
    assert details["verified"] == "sha256: 0123456789ab…"
    assert details["canary"] == "share: 5 %, step: 1"
