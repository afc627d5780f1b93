"""Swin, a hierarchical transformer whose attention stays within windows that move by half their side at every block.

Liu et al., ICCV 2021, arXiv:2103.14030. Implemented from the paper and from the graph of its segmentation code
(SwinTransformer/Swin-Transformer-Semantic-Segmentation, MIT; mmsegmentation and Hugging Face transformers, Apache-2.0,
have the same graph). The names of the weights are timm's, whose published weights therefore fit.

timm's own Swin is another network wherever the sides of a map are not multiples of the window, as at 512x512: it moves
the windows before it fills the last ones up with zeros, the published segmentation networks after that. Maps smaller
than a window are filled up as well, and windows always move.

Deviations: none. The published code fills up images too, with zeros, so that images of any size are processed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import expect_output_stride, register_encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.drop_path import drop_path, probabilities
from pixelwise.layers.sizes import ceil_divide, surely_equal

WINDOW = 7
"""Side of the windows, where nothing else is said."""


class Variant(NamedTuple):
    """Size of a network.

    Attributes:
        channels: Channels of the first stage; each further stage has twice as many.
        depths: Number of blocks in each stage.
        heads: Attention heads of the first stage; each further stage has twice as many.
        timm_name: timm's network with the same weights.
        window: Side of the windows.
    """

    channels: int
    depths: tuple[int, ...]
    heads: int
    timm_name: str = ""
    window: int = WINDOW


VARIANTS = {
    "swin_tiny": Variant(96, (2, 2, 6, 2), 3, "swin_tiny_patch4_window7_224"),
    "swin_small": Variant(96, (2, 2, 18, 2), 3, "swin_small_patch4_window7_224"),
    "swin_base": Variant(128, (2, 2, 18, 2), 4, "swin_base_patch4_window7_224"),
    "swin_base_window12": Variant(128, (2, 2, 18, 2), 4, "swin_base_patch4_window12_384", 12),
    "swin_large_window12": Variant(192, (2, 2, 18, 2), 6, "swin_large_patch4_window12_384", 12),
}
STRIDES = (4, 8, 16, 32)
EXPANSION = 4
"""Ratio of a feed-forward part's inner channels to its input channels."""
APART = -100.0
"""Added to the attention between pixels that only the movement of the windows has brought together."""
INITIAL_STD = 0.02


def filled_up(features: Tensor, multiple: int) -> Tensor:
    """Add rows and columns of zeros at the bottom and on the right.

    Args:
        features: (B, H, W, C).
        multiple: Number that divides the height and width of the result.

    Returns:
        (B, H', W', C); `features` itself if nothing is missing.
    """
    height, width = features.shape[1:3]
    rows, columns = (ceil_divide(length, multiple) * multiple - length for length in (height, width))
    if surely_equal(rows, 0) and surely_equal(columns, 0):
        return features
    return F.pad(features, (0, 0, 0, columns, 0, rows))


class Patches(nn.Module):
    """Patch embedding: each square of 4x4 pixels becomes one position.

    Args:
        in_channels: Number of bands of the input images.
        channels: Output channels.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, kernel_size=STRIDES[0], stride=STRIDES[0])
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, ceil(H / 4), ceil(W / 4), C)."""
        images = filled_up(images.permute(0, 2, 3, 1), STRIDES[0]).permute(0, 3, 1, 2)
        return self.norm(self.proj(images).permute(0, 2, 3, 1))


class PatchMerging(nn.Module):
    """Halves height and width: four neighbours become one position with twice the channels.

    Args:
        channels: Input channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to (B, ceil(H / 2), ceil(W / 2), 2 C)."""
        features = filled_up(features, 2)
        # The four neighbours column by column, as the weights expect them.
        neighbours = [features[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(neighbours, dim=-1)))


class WindowAttention(nn.Module):
    """Self-attention among the positions of a window, with a learned bias per head for every displacement.

    Args:
        channels: Input and output channels.
        heads: Number of attention heads, a divisor of `channels`.
        window: Side of the windows.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))

    def forward(self, windows: Tensor, apart: Tensor | None) -> Tensor:
        """Attend within windows.

        Args:
            windows: (B, N, P, C), N windows of P positions each.
            apart: (N, 1, P, P), added to the attention of every head; None: nothing is added.

        Returns:
            (B, N, P, C).
        """
        batch, count, positions, channels = windows.shape
        # (3, B x N, heads, P, C / heads)
        parts = self.qkv(windows).reshape(batch * count, positions, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind()
        bias = self._bias(windows.device)
        if apart is not None:
            bias = (bias + apart).expand(batch, -1, -1, -1, -1).reshape(batch * count, *bias.shape)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        joined = attended.transpose(1, 2)
        if torch.compiler.is_exporting():
            # The exporters' attention lays out its result differently from the one that is traced.
            joined = joined.clone(memory_format=torch.contiguous_format)
        return self.proj(joined.reshape(batch, count, positions, channels))

    def _bias(self, device: torch.device) -> Tensor:
        """(heads, P, P): the bias of each pair of positions, from the displacement between them."""
        place = torch.arange(self.window, device=device)
        apart = place[:, None] - place[None] + self.window - 1
        index = (2 * self.window - 1) * apart[:, None, :, None] + apart[None, :, None, :]
        positions = self.window * self.window
        bias = self.relative_position_bias_table[index.reshape(-1)]
        return bias.reshape(positions, positions, self.heads).permute(2, 0, 1)


def movement_mask(height: int, width: int, shift: int, like: Tensor, window: int = WINDOW) -> Tensor:
    """What is added to the attention in windows of a map that has been moved up and to the left.

    The last windows then hold pixels from opposite edges of the map, which must not see each other.

    Args:
        height: Height of the map, a multiple of the window.
        width: Width of the map, a multiple of the window.
        shift: Rows and columns by which the map was moved.
        like: Tensor whose data type and device the result has.
        window: Side of the windows.

    Returns:
        (N, 1, P, P), N = windows row by row: 0 between positions that belong together, `APART` between others.
    """
    regions = [
        (place >= length - window).long() + (place >= length - shift).long()
        for length, place in ((length, torch.arange(length, device=like.device)) for length in (height, width))
    ]
    region = (3 * regions[0][:, None] + regions[1][None])[None, :, :, None]
    region = in_windows(region, window)[0, :, :, 0]
    differing = (region[:, None, :, None] != region[:, None, None, :]).to(like.dtype)
    return APART * differing


def in_windows(features: Tensor, window: int = WINDOW) -> Tensor:
    """(B, H, W, C), height and width multiples of the window's side, to (B, N, P, C), windows row by row."""
    batch, height, width, channels = features.shape
    rows, columns = height // window, width // window
    parted = features.reshape(batch, rows, window, columns, window, channels).transpose(2, 3)
    return parted.reshape(batch, rows * columns, window * window, channels)


def out_of_windows(windows: Tensor, height: int, width: int, window: int = WINDOW) -> Tensor:
    """(B, N, P, C) to (B, height, width, C): undoes `in_windows`."""
    batch, channels = windows.shape[0], windows.shape[-1]
    parted = windows.reshape(batch, height // window, width // window, window, window, channels).transpose(2, 3)
    return parted.reshape(batch, height, width, channels)


class FeedForward(nn.Module):
    """Linear layer, GELU, linear layer.

    Args:
        channels: Input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, EXPANSION * channels)
        self.fc2 = nn.Linear(EXPANSION * channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        return self.fc2(F.gelu(self.fc1(features)))


class Block(nn.Module):
    """Attention in windows and a feed-forward part, each on the normalised input and added to it.

    Args:
        channels: Input and output channels.
        heads: Number of attention heads, a divisor of `channels`.
        window: Side of the windows.
        shift: Rows and columns by which the windows are moved.
        skipped: Probability that an image skips a part in training.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int, skipped: float) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.drop_path = skipped
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        features = features + drop_path(self._attend(self.norm1(features)), self.drop_path, self.training)
        return features + drop_path(self.mlp(self.norm2(features)), self.drop_path, self.training)

    def _attend(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape; the zeros that fill up the last windows are seen like pixels."""
        height, width = features.shape[1:3]
        features = filled_up(features, self.window)
        rows, columns = features.shape[1:3]
        apart: Tensor | None = None
        if self.shift:
            features = features.roll((-self.shift, -self.shift), (1, 2))
            apart = movement_mask(rows, columns, self.shift, features, self.window)
        windows = self.attn(in_windows(features, self.window), apart)
        attended = out_of_windows(windows, rows, columns, self.window)
        if self.shift:
            attended = attended.roll((self.shift, self.shift), (1, 2))
        return attended[:, :height, :width]


class Stage(nn.Module):
    """Patch merging, except in the first stage, and blocks whose windows are moved in every second one.

    Args:
        channels: Channels of the blocks.
        heads: Attention heads of the blocks.
        window: Side of the windows.
        skipped: Probability of each block that an image skips a part in training.
        merging: Whether the stage begins by halving the map, which has half the channels.
    """

    def __init__(self, channels: int, heads: int, window: int, skipped: list[float], merging: bool) -> None:
        super().__init__()
        self.downsample = PatchMerging(channels // 2) if merging else nn.Identity()
        self.blocks = nn.Sequential(
            *(Block(channels, heads, window, i % 2 * (window // 2), each) for i, each in enumerate(skipped))
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to (B, H', W', C')."""
        return self.blocks(self.downsample(features))


class Swin(Encoder):
    """Swin: feature maps at strides 4, 8, 16 and 32, not normalised, for images of any size.

    Graphs for images of any size are traced with one whose coarsest map has 2 by 3 windows.

    Args:
        name: Name of the variant, one of `VARIANTS`.
        in_channels: Number of bands of the input images.
        drop_path: Probability that an image skips a part of the last block in training; it grows linearly from 0 at
            the first block.
        variant: Size of the network; None: that of `name`.

    Raises:
        RecipeError: R207, there is no such variant.
    """

    def __init__(
        self, name: str, in_channels: int = 3, *, drop_path: float = 0.0, variant: Variant | None = None
    ) -> None:
        super().__init__()
        if variant is None and name not in VARIANTS:
            raise RecipeError("R207", f"there is no Swin named '{name}'", f"choose one of {', '.join(VARIANTS)}")
        size = variant or VARIANTS[name]
        self.name, self.timm_name = name, size.timm_name
        reach = STRIDES[-1] * size.window
        self.traced_size = reach + 65, 2 * reach + 66
        stages = range(len(size.depths))
        self.channels: tuple[int, ...] = tuple(size.channels * 2**stage for stage in stages)
        self.strides: tuple[int, ...] = STRIDES[: len(stages)]
        self.multiple: int = 1
        self.patch_embed = Patches(in_channels, size.channels)
        skipping = probabilities(size.depths, drop_path)
        for stage in stages:
            heads = size.heads * 2**stage
            part = Stage(self.channels[stage], heads, size.window, skipping[stage], merging=stage > 0)
            self.add_module(f"layers_{stage}", part)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) float to one (B, C, ceil(H / s), ceil(W / s)) per stride s."""
        features = self.patch_embed(images)
        maps: list[Tensor] = []
        for stage in range(len(self.strides)):
            features = self.get_submodule(f"layers_{stage}")(features)
            maps.append(features.permute(0, 3, 1, 2))
        return maps


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.relative_position_bias_table, std=INITIAL_STD)


@register_encoder(*VARIANTS)
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Swin:
    """Build a Swin; the only output stride is 32, and all feature maps are returned."""
    expect_output_stride(name, output_stride, STRIDES[-1])
    return Swin(name, in_channels)
