"""The shortcut demonstration and its table. Only a run of it shows that its models come out so."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from scripts import cli
from scripts.evaluation import shortcut
from scripts.evaluation.shortcut import TrainedModel
from tests.unit.training.explanations.test_report import figures_of, mean, method
from training.data.builtin import shapes
from training.report.gallery import GalleryRow


def trained(name: str, own: float, other: float, mass: float) -> TrainedModel:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "gray").save(buffer, "PNG")
    row = GalleryRow("a", buffer.getvalue(), {"ig": buffer.getvalue()}, "disc", "ring", 0.9)
    return TrainedModel(name, own, other, figures_of(replace(method("ig", 0.5), relevance_mass=mean(mass))), [row, row])


@pytest.mark.slow
def test_the_table_sets_accuracy_beside_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {
        shapes.NAME: trained(shapes.NAME, 0.99, 0.97, 0.64),
        shapes.SPURIOUS: trained(shapes.SPURIOUS, 0.96, 0.18, 0.04),
    }
    monkeypatch.setattr(shortcut, "_trained", lambda out, name, other, images: models[name])
    cli.main(["shortcut-demo", "--out", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ["shapes", "99", "%", "97", "%", "64", "%"],
        ["shapes-spurious", "96", "%", "18", "%", "4", "%"],
    ]
    assert lines[-1] == str(tmp_path / shortcut.PICTURE)
    with Image.open(tmp_path / shortcut.PICTURE) as drawn:
        assert drawn.width > 1000
