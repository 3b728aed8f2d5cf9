from __future__ import annotations

import pytest
import torch
from torch import nn

from models.architectures import vit_tiny


def places(network: vit_tiny.VisionTransformer) -> int:
    return network.pos_embed.shape[1]


@pytest.mark.parametrize(
    ("size", "patch"), [(24, 4), (28, 4), (32, 4), (64, 4), (72, 8), (96, 8), (128, 8), (224, 16), (256, 16), (384, 32)]
)
def test_the_patch_follows_the_image_where_it_is_not_given(size: int, patch: int) -> None:
    network = vit_tiny.build(image_size=size, dim=6, depth=1)
    assert network.patch_embed.proj.kernel_size == (patch, patch)
    assert places(network) == 1 + (size // patch) ** 2 <= 257


def test_a_patch_that_is_given_is_kept() -> None:
    assert places(vit_tiny.build(image_size=32, patch=8, dim=6, depth=1)) == 17


def test_with_twelve_blocks_at_224_pixels_it_is_deit_tiny() -> None:
    with torch.device("meta"):
        network = vit_tiny.build(image_size=224, classes=1000, depth=12)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert sum(parameter.numel() for parameter in network.parameters()) == 5_717_416
    assert shapes["cls_token"] == (1, 1, 192)
    assert shapes["pos_embed"] == (1, 197, 192)
    assert shapes["patch_embed.proj.weight"] == (192, 3, 16, 16)
    assert shapes["blocks.11.attn.qkv.weight"] == (576, 192)
    assert shapes["blocks.11.mlp.fc1.weight"] == (768, 192)
    inside = {name.removeprefix("blocks.0.") for name in shapes if name.startswith("blocks.0.")}
    layers = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    assert inside == {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    assert shapes["norm.weight"] == (192,)


def test_attention_is_the_softmax_of_the_paper() -> None:
    torch.manual_seed(0)
    attention, tokens = vit_tiny.Attention(dim=8, heads=2), torch.randn(3, 5, 8)
    query, key, value = attention.qkv(tokens).chunk(3, dim=-1)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        weights = (query[..., part] @ key[..., part].transpose(1, 2) / 4**0.5).softmax(dim=-1)
        heads.append(weights @ value[..., part])
    torch.testing.assert_close(attention(tokens), attention.proj(torch.cat(heads, dim=-1)))


def test_patches_go_row_by_row() -> None:
    patches = vit_tiny.Patches(patch=4, dim=1)
    nn.init.ones_(patches.proj.weight)
    nn.init.zeros_(patches.proj.bias)
    images = torch.zeros(1, 3, 8, 8)
    images[:, :, 0:4, 4:8] = 1
    assert patches(images).flatten().tolist() == [0, 48, 0, 0]


def test_a_block_adds_to_what_came_in() -> None:
    block, tokens = vit_tiny.Block(dim=8, heads=2), torch.randn(2, 5, 8)
    for last in (block.attn.proj, block.mlp.fc2):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    assert torch.equal(block(tokens), tokens)


def test_patch_positions_change_the_output() -> None:
    torch.manual_seed(0)
    network = vit_tiny.build(image_size=16, dim=24, depth=1).eval()
    images = torch.randn(1, 3, 16, 16)
    with torch.inference_mode():
        assert not torch.allclose(network(images), network(images.roll(4, 3)), atol=1e-5)  # by one patch


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image_size": 30}, "image_size is 30: it cannot be cut into patches of 4 pixels"),
        ({"image_size": 32, "patch": 5}, "image_size is 32: it cannot be cut into patches of 5 pixels"),
        ({"image_size": 32, "patch": 64}, "image_size is 32: it cannot be cut into patches of 64 pixels"),
        ({"patch": 0}, "patch is 0: it must be at least 1 pixel"),
        ({"dim": 100}, "dim is 100: it cannot be divided between 3 heads"),
        ({"depth": 0}, "depth is 0: it must be at least 1"),
        ({"heads": -1}, "heads is -1: it must be at least 1"),
        ({"heads": "3"}, "heads is '3': it must be a whole number"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        vit_tiny.build(**arguments)
