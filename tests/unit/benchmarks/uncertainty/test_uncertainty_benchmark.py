import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.uncertainty import __main__ as benchmark
from benchmarks.uncertainty import networks, page, probabilities
from benchmarks.uncertainty.resplits import resplits
from handlers.engines import Outputs
from models import architectures
from training.data.arrays import Arrays
from training.data.dataset import Dataset, Split
from training.uncertainty import Scored


def test_resplits_are_disjoint_and_complete() -> None:
    splits = list(resplits(200, calibration=60, splits=3, seed=1))
    assert len(splits) == 3
    for calibration, held_out in splits:
        assert len(calibration) == 60
        assert sorted([*calibration.tolist(), *held_out.tolist()]) == list(range(200))


def test_resplits_with_too_few_held_out_images_are_left_out() -> None:
    assert list(resplits(159, calibration=60, splits=3, seed=1)) == []


def calibrated_network(images: int, scale: float) -> networks.MeasuredNetwork:
    """Return a network without an engine, whose logits are `scale` times those of a calibrated one."""
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(images, 4, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    scored = Scored(Outputs(scale * logits, logits, logits.double()), labels)
    return networks.MeasuredNetwork("drawn", 0, None, None, scored, scored, logits)  # type: ignore[arg-type]


def test_temperature_of_an_overconfident_network_lowers_loss_and_calibration_error() -> None:
    measured = probabilities.measure([calibrated_network(1_000, scale=3.0)], images=360, splits=5)
    assert measured is not None
    calibration, sets = measured
    assert calibration.worse == [0.0]
    assert calibration.ece[1] < 0.5 * calibration.ece[0]
    assert sets.splits == 5
    assert all(aim <= cover + 0.05 for aim, cover in sets.coverage)
    assert page.calibration_table([calibration]).count("\n") == 2
    assert page.sets_table([sets]).endswith("|")


def test_pools_that_are_too_small_have_no_result() -> None:
    assert probabilities.measure([calibrated_network(400, scale=1.0)], images=360, splits=5) is None


def test_kept_network_of_another_revision_is_refused(tmp_path: Path) -> None:
    header = {"architecture": "cnn", "arguments": {"image_size": 8, "classes": 2}, "input": {"former": 1}}
    network = architectures.build("cnn", image_size=8, classes=2)
    tensors = {f"weights.{name}": value for name, value in network.state_dict().items()}
    save_file(tensors, networks.file_of(tmp_path, "drawn", 0), {"header": json.dumps(header)})
    with pytest.raises(ValueError, match=r"drawn-0\.safetensors is from another revision of this code: remove it"):
        networks.load("drawn", 0, tmp_path)


@pytest.mark.slow
def test_tables_are_written_and_networks_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    count = 600
    labels = np.arange(count) % 2
    pixels = (draw.integers(0, 120, (count, 8, 8, 3)) + 90 * labels[:, None, None, None]).astype(np.uint8)
    wrong = draw.random(count) < 0.1
    labels = np.where(wrong, 1 - labels, labels)

    def load(seed: int) -> Dataset:
        splits = [slice(0, 200), slice(200, 400), slice(400, 600)]
        train, calibration, test = (Split(Arrays(pixels[rows]), labels[rows].tolist()) for rows in splits)
        return Dataset("drawn", "", "", ("dark", "light"), train, calibration, test, "0")

    monkeypatch.setitem(networks.data.DATASETS, "drawn", load)
    for name, value in {"DATA": ("drawn",), "SIZES": (60,), "SPLITS": 2, "REFERRAL_SPLITS": 1}.items():
        monkeypatch.setattr(benchmark, name, value)
    written = tmp_path / "page.md"
    written.write_text("# Uncertainty\n\n## Measured\n")
    flags = ["--networks", "1", "--keep", str(tmp_path / "keep"), "--page", str(written)]
    benchmark.main(flags)
    kept = networks.file_of(tmp_path / "keep", "drawn", 0)
    time = kept.stat().st_mtime_ns
    benchmark.main(flags)
    assert kept.stat().st_mtime_ns == time, "a kept network was trained again"
    text = written.read_text()
    assert text.count("By `python -m benchmarks.uncertainty --networks 1`") == 1
    for part in ("## Measured", "**Calibration**", "**Prediction sets**", "**Referral**", "| mirrored |"):
        assert part in text
