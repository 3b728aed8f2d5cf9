"""A small vision transformer.

Dosovitskiy et al., "An Image is Worth 16x16 Words", arXiv:2010.11929; its tiny size is that of Touvron et al.
(DeiT), arXiv:2012.12877. Its tensors have DeiT's names, so with `depth=12` DeiT-Ti's weights for 224 pixels fit,
except for the head. From random weights it needs more images and epochs than a convolutional network.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.architectures import Network
from models.arguments import at_least, at_least_two_classes

SMALLEST_PATCH = 4
MAX_PATCHES = 16  # along a side, where the patch is chosen here: attention costs the fourth power of it
MLP_RATIO = 4
EPSILON = 1e-6  # of the norms, as DeiT was trained


class Attention(nn.Module):
    """Self-attention with `heads` heads."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, tokens, dim) -> the same."""
        count, length, dim = tokens.shape
        parts = self.qkv(tokens).reshape(count, length, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        result: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(count, length, dim))
        return result


class MLP(nn.Module):
    """Two linear layers that transform each token on its own."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, MLP_RATIO * dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(MLP_RATIO * dim, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, tokens, dim) -> the same."""
        result: torch.Tensor = self.fc2(self.act(self.fc1(tokens)))
        return result


class Block(nn.Module):
    """Attention, then the MLP, each with a residual connection and a norm before it."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPSILON)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPSILON)
        self.mlp = MLP(dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, tokens, dim) -> the same."""
        tokens = tokens + self.attn(self.norm1(tokens))
        result: torch.Tensor = tokens + self.mlp(self.norm2(tokens))
        return result


class Patches(nn.Module):
    """Cut the images into squares and project each."""

    def __init__(self, patch: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, stride=patch)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, patches, dim)."""
        tokens: torch.Tensor = self.proj(images).flatten(2).transpose(1, 2)
        return tokens


class VisionTransformer(Network):
    """float32 images (N, 3, image_size, image_size) -> logits (N, classes).

    The final value of the class token is the embedding.
    """

    def __init__(self, image_size: int, classes: int, patch: int, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.patch_embed = Patches(patch, dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (image_size // patch) ** 2, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=EPSILON)
        self.fc = nn.Linear(dim, classes)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (N, 3, image_size, image_size) -> (N, dim)."""
        patches = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(patches.shape[0], -1, -1), patches], dim=1) + self.pos_embed
        embeddings: torch.Tensor = self.norm(self.blocks(tokens)[:, 0])
        return embeddings

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(N, dim) -> logits (N, classes)."""
        logits: torch.Tensor = self.fc(embeddings)
        return logits


def build(
    image_size: int = 32,
    classes: int = 10,
    patch: int | None = None,
    dim: int = 192,
    depth: int = 6,
    heads: int = 3,
) -> VisionTransformer:
    """Return the network with random weights.

    Args:
        patch: pixels of a patch's side; where it is not given, 4 up to 64 pixels, 8 up to 128, 16 up to 256.
        dim: values of a token.
        depth: blocks.
        heads: of attention, between which a token's values are divided.

    Raises:
        ValueError: these arguments do not go together.
    """
    at_least(SMALLEST_PATCH, "image_size", image_size, f"the smallest patch has {SMALLEST_PATCH} pixels")
    at_least_two_classes(classes)
    for name, value in (("dim", dim), ("depth", depth), ("heads", heads)):
        at_least(1, name, value, "it must be at least 1")
    if patch is None:
        patch = fitting_patch(image_size)
    at_least(1, "patch", patch, "it must be at least 1 pixel")
    if image_size % patch:
        raise ValueError(f"image_size is {image_size}: it cannot be cut into patches of {patch} pixels")
    if dim % heads:
        raise ValueError(f"dim is {dim}: it cannot be divided between {heads} heads")
    return VisionTransformer(image_size, classes, patch, dim, depth, heads)


def fitting_patch(image_size: int) -> int:
    """Return the smallest patch size of 4, 8, 16, ... with at most 16 patches along a side of the image."""
    patch = SMALLEST_PATCH
    while image_size > MAX_PATCHES * patch:
        patch *= 2
    return patch
