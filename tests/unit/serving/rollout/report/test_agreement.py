from __future__ import annotations

from serving.rollout.plan import Shadow
from serving.rollout.report import agreement
from serving.rollout.report.agreement import Cell, Difference
from serving.rollout.report.words import SPACE
from serving.rollout.shadow.summary import ShadowSummary
from tests.support.rollout_records import SUMMARY


def sentences(summary: ShadowSummary) -> list[str]:
    return [text.replace(SPACE, " ") for text in agreement.sentences(summary, Shadow(), "1.0", "2.0")]


def test_matrix_has_a_row_for_each_label_in_order() -> None:
    shown = agreement.agreement(ShadowSummary(labels={"10": {"9": 3, "10": 1}, "9": {"9": 5}, "cat": {"dog": 2}}))
    assert shown.labels == ["cat", "dog", "9", "10"]
    assert shown.rows[3] == [
        Cell(0, False, 0),
        Cell(0, False, 0),
        Cell(3, False, 0.75),
        Cell(1, True, 0.25),
    ]
    assert shown.differences == [Difference("10", "9", 3), Difference("cat", "dog", 2)]
    assert not shown.long


def test_many_labels_have_a_list_of_differences_only() -> None:
    labels = {f"class {number}": {f"class {number + 1}": 1 + number} for number in range(50)}
    shown = agreement.agreement(ShadowSummary(labels=labels))
    assert (shown.labels, shown.rows, len(shown.differences), shown.left_out) == ([], [], 30, 20)
    assert shown.differences[0] == Difference("class 49", "class 50", 50)


def test_sentences_have_the_figures() -> None:
    assert sentences(SUMMARY) == [
        "Version 1.0 repeated its own answers (30 pairs). So the differences below come from the versions, and "
        "not from chance.",
        "Both versions answered 300 images. Of these, 2 (0.67 %) got another label or status; the plan allows 3 %.",
        "Real requests have no labels, so a difference does not say which version is right. The mean calibrated "
        "probability of the labels is 94 % for 1.0 and 95 % for 2.0.",
        "10 copies beside these were dropped, because the comparison leaves most of the time to clients.",
    ]


def test_version_that_does_not_repeat_itself_is_said_first() -> None:
    summary = SUMMARY.model_copy(update={"self_differences": 2})
    assert sentences(summary)[0].startswith("Version 1.0 did not repeat its own answers: 2 of 30 pairs differ.")


def test_nothing_compared_says_so() -> None:
    assert sentences(ShadowSummary()) == ["No answer of both versions was compared."]
