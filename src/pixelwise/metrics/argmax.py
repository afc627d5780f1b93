"""Full-size argmax of small logits without ever building the full-size logits.

A bilinearly interpolated value is a convex combination of the four source cells around it. A class
that has the largest logit at all four corners therefore has the largest one everywhere between them and
is simply copied; only between corners that disagree (4 to 15 % of the cells with trained networks) are
values interpolated. Even there most classes can be excluded: a class whose highest corner is below the
lowest corner of another class is below it everywhere in between. Two to four classes are left on
average, and only these are interpolated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pixelwise.metrics.winners import first_of_best

CHUNK_VALUES = 1 << 19
"""Source logits of undecided cells processed together, per corner: 2 MB of float32 for every image size."""
ACCELERATOR_CHUNK_VALUES = 1 << 22
"""The same for accelerators, where a chunk has to be large enough to be worth the kernel launches."""
BAND_BLOCKS = 1 << 17
"""Blocks of output pixels whose corners are compared together."""
BAND_CELLS = 1 << 14
"""Source cells whose best class is searched together, as many as fit into the cache of a core."""
LONGEST_BLOCK = 16
"""Largest side of a block in output pixels."""


class _Spans(NamedTuple):
    """The output positions along one axis, cut into blocks that lie between the same two source cells.

    Attributes:
        cell: (L,) int64, the first source cell of each output position.
        first: (N,) int64, the first source cell of each block.
        second: (N,) int64, the second source cell of each block.
        outputs: (G, N) int64, the output positions in each block; shorter blocks repeat their last position.
        weight: (G, N), the weight of the second source cell at each position.
    """

    cell: Tensor
    first: Tensor
    second: Tensor
    outputs: Tensor
    weight: Tensor


def upsampled_argmax(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """`F.interpolate(logits.float(), size, mode="bilinear", align_corners=...).argmax(1)`, exactly.

    Where two classes have the same interpolated logit up to rounding, the result may be either. Downsampling
    works as well: an output pixel still lies between four source cells (there is no antialiasing).

    Args:
        logits: (B, K, h, w), finite, float32, float64, bfloat16 or float16 (interpolated in float32).
        size: (H, W) of the result.
        align_corners: Whether corners are aligned, as in `torch.nn.functional.interpolate`.

    Returns:
        (B, H, W) class ids, uint8 for up to 255 classes, otherwise int64.
    """
    logits = logits.detach()
    B, K, h, w = logits.shape
    H, W = size
    winners = _winners(logits)
    if (h, w) == (H, W) or K == 1:
        return winners if (h, w) == (H, W) else winners.new_zeros(B, H, W)

    exact = torch.float64 if logits.dtype == torch.float64 else torch.float32
    rows = _spans(h, H, align_corners, exact, logits.device)
    columns = _spans(w, W, align_corners, exact, logits.device)
    prediction = winners.index_select(2, columns.cell).index_select(1, rows.cell)
    per_band = max(1, BAND_BLOCKS // len(columns.first))
    values = CHUNK_VALUES if logits.device.type == "cpu" else ACCELERATOR_CHUNK_VALUES
    per_chunk = max(1, values // max(K, rows.outputs.shape[0] * columns.outputs.shape[0]))
    for image in range(B):
        for first in range(0, len(rows.first), per_band):
            blocks = _undecided(winners[image], rows, columns, first, first + per_band)
            chunks = zip(*(index.split(per_chunk) for index in blocks), strict=True)
            for y, x in chunks if len(blocks[0]) else ():
                corners = _corners(logits[image], rows, columns, y, x).to(exact)
                _decide(prediction[image], corners, rows, columns, y, x)
    return prediction


def source_cells(
    length: int, output_length: int, align_corners: bool, exact: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The first of the two source cells of each output position, and the weight of the second.

    The arithmetic is that of PyTorch's kernels, in the same precision, so that cells and weights are
    identical to theirs.

    Args:
        length: Number of source cells.
        output_length: Number of output positions.
        align_corners: Whether corners are aligned, as in `torch.nn.functional.interpolate`.
        exact: Data type in which the weights are computed, float32 or float64.
        device: Device of the result.
    """
    position = torch.arange(output_length, dtype=exact, device=device)
    if align_corners:
        steps = torch.tensor(float(max(output_length - 1, 1)), dtype=exact)
        scale = torch.tensor(float(length - 1), dtype=exact) / steps
        source = position * scale.to(device) if output_length > 1 else torch.zeros_like(position)
    else:
        scale = torch.tensor(float(length), dtype=exact) / output_length
        source = ((position + 0.5) * scale.to(device) - 0.5).clamp_(min=0)
    first = source.long().clamp_(max=length - 1)
    return first, (source - first).clamp_(0, 1)


def _spans(length: int, output_length: int, align_corners: bool, exact: torch.dtype, device: torch.device) -> _Spans:
    """Cut the output positions into blocks of the length with the least overhead."""
    cell, weight = source_cells(length, output_length, align_corners, exact, torch.device("cpu"))
    # The positions before the centre of the first cell form a separate block, half as long as the others.
    before = (cell == 0) & (weight == 0)
    key = torch.where(before, -1, cell).numpy()
    starts = np.flatnonzero(np.diff(key, prepend=-2))
    counts = np.diff(starts, append=output_length)
    # The cost of a block is its positions, repeated ones included, plus a constant overhead.
    longest = min(range(1, LONGEST_BLOCK + 1), key=lambda block: int((-(-counts // block)).sum()) * (block + 2))
    parts = -(-counts // longest)
    number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    begin, last = np.repeat(starts, parts) + number * longest, np.repeat(starts + counts - 1, parts)
    outputs = torch.from_numpy(np.minimum(begin + np.arange(longest)[:, None], last))
    first = cell[outputs[0]]
    spans = cell, first, (first + 1).clamp_(max=length - 1), outputs, weight[outputs]
    return _Spans(*(values.to(device) for values in spans))


def _winners(logits: Tensor) -> Tensor:
    """(B, h, w): the first of the best classes of each source cell; uint8 for up to 255 classes, otherwise int64.

    On a CPU, PyTorch's argmax over any dimension but the last takes about ten times as long.
    """
    B, K, h, w = logits.shape
    kind = torch.uint8 if K <= 255 else torch.int64
    winners = torch.empty(B, h, w, dtype=kind, device=logits.device)
    on_cpu = logits.device.type == "cpu"
    height = max(1, (BAND_CELLS if on_cpu else 1 << 22) // w)
    for image in range(B):
        for first in range(0, h, height):
            part = logits[image, :, first : first + height]
            if not on_cpu:
                found = part.argmax(0)
            elif part.stride(0) == 1:
                found = torch.from_numpy(_as_numpy(part.permute(1, 2, 0)).argmax(2))
            else:
                found = torch.from_numpy(first_of_best(_as_numpy(part)))
            winners[image, first : first + height] = found
    return winners


def _as_numpy(values: Tensor) -> np.ndarray:
    return values.numpy() if values.dtype in (torch.float32, torch.float64) else values.float().numpy()


def _undecided(winners: Tensor, rows: _Spans, columns: _Spans, first: int, last: int) -> tuple[Tensor, Tensor]:
    """Indices y and x of the blocks in block rows `first` to `last - 1` whose corners have different winners."""
    upper, lower = winners.index_select(0, rows.first[first:last]), winners.index_select(0, rows.second[first:last])
    corner = upper.index_select(1, columns.first)
    differs = corner != upper.index_select(1, columns.second)
    differs |= corner != lower.index_select(1, columns.first)
    differs |= corner != lower.index_select(1, columns.second)
    y, x = differs.nonzero(as_tuple=True)
    return y + first, x


def _corners(logits: Tensor, rows: _Spans, columns: _Spans, y: Tensor, x: Tensor) -> Tensor:
    """(4, n, K): the logits (K, h, w) at the corners of n blocks: upper left, upper right, lower left, lower right.

    The memory layout follows that of the logits.
    """
    K, _, w = logits.shape
    left, right = columns.first[x], columns.second[x]
    upper, lower = rows.first[y] * w, rows.second[y] * w
    cells = torch.cat([upper + left, upper + right, lower + left, lower + right])
    if logits.stride(0) == 1:
        return logits.permute(1, 2, 0).reshape(-1, K).index_select(0, cells).view(4, -1, K)
    return logits.reshape(K, -1).index_select(1, cells).view(K, 4, -1).permute(1, 2, 0)


def _decide(prediction: Tensor, corners: Tensor, rows: _Spans, columns: _Spans, y: Tensor, x: Tensor) -> None:
    """Write the class ids of n blocks into `prediction` (H, W).

    Args:
        prediction: (H, W) class ids, modified in place.
        corners: (4, n, K) logits, without gaps in memory.
        rows: Blocks of the output rows.
        columns: Blocks of the output columns.
        y: (n,) index of each block in `rows`.
        x: (n,) index of each block in `columns`.
    """
    # Everywhere in a block, the best value is at least the largest of the classes' lowest corners.
    lowest = torch.minimum(torch.minimum(corners[0], corners[1]), torch.minimum(corners[2], corners[3]))
    highest = torch.maximum(torch.maximum(corners[0], corners[1]), torch.maximum(corners[2], corners[3]))
    possible = highest >= lowest.amax(1, keepdim=True)  # (n, K)
    counts, order = possible.sum(1).sort(descending=True, stable=True)
    classes = possible.index_select(0, order).nonzero()[:, 1]  # of the first block, of the second one, ...
    starts = counts.cumsum(0) - counts
    flat, (corner_step, block_step, class_step) = corners.as_strided((corners.numel(),), (1,)), corners.stride()
    across, down = columns.weight[:, x[order]], rows.weight[:, None, y[order]]
    across0, down0 = 1 - across, 1 - down
    best = ids = torch.empty(0)
    # Blocks are sorted by their number of possible classes, so those with a further class are a prefix.
    per_block = counts.cpu().numpy()
    for place in range(int(per_block[0])):
        m = int(np.searchsorted(-per_block, -place))
        here = classes[starts[:m] + place]
        at = here * class_step + order[:m] * block_step
        upper_left, upper_right, lower_left, lower_right = (flat[at + corner * corner_step] for corner in range(4))
        upper = torch.addcmul(upper_left * across0[:, :m], upper_right, across[:, :m])
        lower = torch.addcmul(lower_left * across0[:, :m], lower_right, across[:, :m])
        values = torch.addcmul(upper * down0[..., :m], lower, down[..., :m])  # (G, G, m)
        here = here.to(prediction.dtype).expand(values.shape)
        if place == 0:
            best, ids = values, here.clone()
            continue
        ids[..., :m] = torch.where(values > best[..., :m], here, ids[..., :m])
        torch.maximum(best[..., :m], values, out=best[..., :m])
    pixels = rows.outputs[:, None, y[order]] * prediction.shape[1] + columns.outputs[:, x[order]]
    prediction.view(-1)[pixels] = ids
