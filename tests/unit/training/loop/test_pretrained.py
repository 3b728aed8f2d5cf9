from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from models import architectures
from models.architectures import Network
from training.loop.pretrained import Misfit, WeightsError, initialize


class Job:
    """Object in a pickle that runs code when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("touched",)


def small(seed: int, classes: int = 3, **arguments: Any) -> Network:
    torch.manual_seed(seed)
    return architectures.build("resnet9", classes=classes, **{"image_size": 16, "width": 4, **arguments})


def copied(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def learnt() -> dict[str, torch.Tensor]:
    network = small(1)
    network(torch.randn(4, 3, 16, 16))  # so that the norms have seen something
    return copied(network)


@pytest.mark.parametrize("zipped", [True, False])  # torchvision's older files are not
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
@pytest.mark.parametrize("wrapper", ["", "state_dict", "model"])
def test_a_state_dict_is_found_in_whatever_it_was_saved(
    tmp_path: Path, learnt: dict[str, torch.Tensor], wrapper: str, suffix: str, zipped: bool
) -> None:
    path, network = (tmp_path / "weights").with_suffix(suffix), small(2)
    content = {wrapper: OrderedDict(learnt), "epoch": 7, "optimizer": {"state": {}}} if wrapper else learnt
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    fit = initialize(network, path)
    assert same(network.state_dict(), learnt)
    assert fit.sentences() == [f"{path}: 41 of the network's 41 tensors are taken from it"]
    assert (fit.missing, fit.unexpected, fit.wrong_shape) == ((), (), ())


def test_safetensors_are_read_from_a_file_or_a_release(tmp_path: Path, learnt: dict[str, torch.Tensor]) -> None:
    save_file(learnt, tmp_path / "weights.safetensors")
    for path in (tmp_path / "weights.safetensors", tmp_path):
        network = small(2)
        assert len(initialize(network, path).loaded) == 41
        assert same(network.state_dict(), learnt)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.backbone."])
def test_common_prefix_of_names_is_removed(tmp_path: Path, learnt: dict[str, torch.Tensor], prefix: str) -> None:
    path, network = tmp_path / "weights.pth", small(2)
    torch.save({prefix + name: tensor for name, tensor in learnt.items()} | {"loss.weight": torch.ones(3)}, path)
    fit = initialize(network, path)
    assert same(network.state_dict(), learnt)
    assert fit.prefix == prefix
    assert fit.unexpected == ("loss.weight",)
    assert fit.sentences()[0].endswith(f"41 tensors are taken from it, whose names there begin with {prefix!r}")


def test_a_head_of_other_classes_starts_fresh_and_is_named(tmp_path: Path) -> None:
    torch.manual_seed(0)
    build = {"image_size": 32, "dim": 12, "depth": 1}
    large = architectures.build("vit_tiny", classes=1000, **build)
    network = architectures.build("vit_tiny", classes=3, **build)
    before = copied(network)
    save_file(large.state_dict(), tmp_path / "weights.safetensors")
    fit = initialize(network, tmp_path / "weights.safetensors")
    assert fit.wrong_shape == (Misfit("fc.weight", (1000, 12), (3, 12)), Misfit("fc.bias", (1000,), (3,)))
    assert fit.sentences()[1:] == ["the head, fc, starts fresh: the file's is for 1,000 classes, and there are 3"]
    assert torch.equal(network.state_dict()["fc.weight"], before["fc.weight"])
    assert torch.equal(network.state_dict()["norm.weight"], large.state_dict()["norm.weight"])
    assert torch.equal(network.state_dict()["cls_token"], large.state_dict()["cls_token"])


def test_positions_of_another_image_size_start_fresh(tmp_path: Path) -> None:
    large, network = (architectures.build("vit_tiny", image_size=size, dim=12, depth=1) for size in (32, 16))
    save_file(large.state_dict(), tmp_path / "weights.safetensors")
    fit = initialize(network, tmp_path / "weights.safetensors")
    assert fit.sentences()[1:] == [
        "of another shape in the file, so they start fresh: pos_embed (is 1 x 65 x 12, must be 1 x 17 x 12)"
    ]


def test_missing_and_unexpected_weights_are_listed(tmp_path: Path, learnt: dict[str, torch.Tensor]) -> None:
    path, network = tmp_path / "weights.pth", small(2)
    before = copied(network)
    file = {name: tensor for name, tensor in learnt.items() if not name.startswith("features.0.")}
    torch.save({**file, **{f"extra.{number}": torch.ones(1) for number in range(6)}}, path)
    fit = initialize(network, path)
    assert fit.missing == tuple(
        f"features.0.{place}" for place in ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")
    )
    assert fit.sentences() == [
        f"{path}: 36 of the network's 41 tensors are taken from it",
        "not in the file, so they start fresh: features.0.0.weight, features.0.1.weight, features.0.1.bias, "
        "features.0.1.running_mean and 1 more",
        "in the file, but not in the network: extra.0, extra.1, extra.2, extra.3 and 2 more",
    ]
    now = network.state_dict()
    assert torch.equal(now["features.0.0.weight"], before["features.0.0.weight"])
    assert torch.equal(now["features.1.0.weight"], learnt["features.1.0.weight"])


def test_counters_of_batches_are_taken_but_never_missed(tmp_path: Path, learnt: dict[str, torch.Tensor]) -> None:
    counters = [name for name in learnt if name.endswith("num_batches_tracked")]
    network = small(2)
    save_file(learnt, tmp_path / "with.safetensors")
    initialize(network, tmp_path / "with.safetensors")
    assert [network.state_dict()[name].item() for name in counters] == [1] * 8
    save_file({name: learnt[name] for name in learnt if name not in counters}, tmp_path / "without.safetensors")
    assert len(initialize(network, tmp_path / "without.safetensors").sentences()) == 1


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted(tmp_path: Path, learnt: dict[str, torch.Tensor], kind: torch.dtype) -> None:
    network = small(2)
    halves = {name: tensor.to(kind) if tensor.is_floating_point() else tensor for name, tensor in learnt.items()}
    save_file(halves, tmp_path / "weights.safetensors")
    initialize(network, tmp_path / "weights.safetensors")
    assert network.state_dict()["fc.weight"].dtype == torch.float32
    assert torch.equal(network.state_dict()["fc.weight"], halves["fc.weight"].float())


def test_quantized_weights_are_refused_and_nothing_is_changed(tmp_path: Path, learnt: dict[str, torch.Tensor]) -> None:
    path, network = tmp_path / "weights.safetensors", small(2)
    before = copied(network)
    save_file({**learnt, "fc.weight": learnt["fc.weight"].to(torch.int8)}, path)
    with pytest.raises(
        WeightsError, match=r"fc\.weight is int8: quantized weights cannot be trained on, give float ones"
    ):
        initialize(network, path)
    assert same(network.state_dict(), before)


@pytest.mark.parametrize("other", [name for name in architectures.names() if name != "vit_tiny"])
def test_weights_of_another_architecture_are_told_by_their_names(tmp_path: Path, other: str) -> None:
    path = tmp_path / "weights.pth"
    # As many classes: even the head's bias would fit, and still nothing does.
    network = architectures.build("vit_tiny", image_size=16, dim=12, depth=1)
    before = copied(network)
    torch.save(architectures.build(other).state_dict(), path)
    with pytest.raises(WeightsError, match=f"nothing in it fits the network: its names are most like .* {other!r}"):
        initialize(network, path)
    assert same(network.state_dict(), before)


def test_weights_of_a_strange_architecture_are_told_by_what_they_have(tmp_path: Path) -> None:
    torch.save({"encoder.kernel": torch.ones(3)}, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"nothing in it fits the network: it has encoder\.kernel: give weights of"):
        initialize(small(2), tmp_path / "weights.pth")


def test_the_same_architecture_of_another_width_is_told_by_a_shape(
    tmp_path: Path, learnt: dict[str, torch.Tensor]
) -> None:
    torch.save(learnt, tmp_path / "weights.pth")
    with pytest.raises(
        WeightsError,
        match=r"the names are the same and the shapes are not, features\.0\.0\.weight is 4 x 3 x 3 x 3 and must",
    ):
        initialize(small(2, width=8), tmp_path / "weights.pth")


def test_a_pickle_with_code_is_refused_without_running_it(
    tmp_path: Path, learnt: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": learnt, "job": Job()}, tmp_path / "weights.pth")
    with pytest.raises(
        WeightsError, match=r"holds Python objects \(posix\.mkdir\), not only weights.*weights_only=False"
    ):
        initialize(small(2), tmp_path / "weights.pth")
    assert not Path("touched").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_network_that_was_saved_whole_is_answered_with_how_to_convert_it(tmp_path: Path, zipped: bool) -> None:
    torch.save(small(1), tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"\(models\.architectures\.resnet9\.ResNet9\).* torch\.save its state_dict\(\)"
    ):
        initialize(small(2), tmp_path / "weights.pth")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_torchscript_program_is_answered_with_how_to_convert_it(tmp_path: Path) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match=r"a TorchScript program.*open it with torch\.jit\.load"):
        initialize(small(2), tmp_path / "weights.pt")


def cut(path: Path, content: object, **options: Any) -> None:
    torch.save(content, path, **options)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no weights at all"),
        lambda path: path.write_bytes(pickle.dumps({"a": 1}, protocol=4)),
        lambda path: cut(path, {"a": torch.ones(100)}),
        lambda path: cut(path, {"a": torch.ones(100)}, _use_new_zipfile_serialization=False),
    ],
    ids=["empty", "text", "pickle", "cut", "old and cut"],
)
def test_a_damaged_file_is_one_clear_sentence(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"weights\.pth: damaged, cut short, or not a file of torch\.save$"):
        initialize(small(2), tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.ones(1)], 5, {"state_dict": {}}])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"weights\.pth: holds no weights: save the network's state_dict"):
        initialize(small(2), tmp_path / "weights.pth")


def test_file_that_is_not_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"\x00" * 20)
    (tmp_path / "weights.onnx").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for name, words in (
        ("none.pth", r"no such file; it takes a \.safetensors, \.pth or \.pt file or a release"),
        ("weights.onnx", r"its name must end with \.safetensors, \.pth or \.pt"),
        ("weights.safetensors", "cannot be read"),
        ("folder", r"a folder without weights\.safetensors, so it is not a release"),
    ):
        with pytest.raises(WeightsError, match=f"{name}: {words}"):
            initialize(small(2), tmp_path / name)
