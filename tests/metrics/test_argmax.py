from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.metrics import upsampled_argmax


def reference(logits, size, align_corners):
    """Full-size interpolated logits, in the precision that the pruned method promises."""
    exact = logits if logits.dtype == torch.float64 else logits.float()
    return F.interpolate(exact, size, mode="bilinear", align_corners=align_corners)


def assert_equal_except_ties(logits, size, align_corners=False):
    full = reference(logits, size, align_corners)
    expected = full.argmax(1)
    found = upsampled_argmax(logits, size, align_corners).long()
    assert found.shape == expected.shape
    differs = found != expected
    best = full.gather(1, expected[:, None])[:, 0][differs]
    ours = full.gather(1, found[:, None])[:, 0][differs]
    rounding = 8 * torch.finfo(full.dtype).eps * full.abs().max()
    assert bool((best - ours <= rounding).all())
    return int(differs.sum())


def test_a_class_wins_everywhere_between_four_corners_where_it_wins():
    logits = torch.tensor([[[[2.0, 3.0], [4.0, 5.0]], [[1.0, 2.0], [3.0, 4.0]]]])

    assert upsampled_argmax(logits, (5, 7)).tolist() == [[[0] * 7] * 5]


def test_the_border_between_two_classes_is_where_their_logits_cross():
    # One row, two cells, 4x: sources 0, 0.125, .375, .625, .875, 1 at columns 1..6. Class 1 leads
    # class 0 by -1 at the left and by 3 at the right: it is ahead beyond source position 0.25.
    logits = torch.tensor([[[[1.0, 0.0]], [[0.0, 3.0]]]])

    assert upsampled_argmax(logits, (1, 8)).tolist() == [[[0, 0, 0, 1, 1, 1, 1, 1]]]


def test_a_class_that_wins_at_no_corner_can_win_between_them():
    # Class 2 is second at both ends but ahead in the middle: nearest upsampling would never show it.
    logits = torch.tensor([[[[10.0, 0.0]], [[0.0, 10.0]], [[8.0, 8.0]]]])

    prediction = upsampled_argmax(logits, (1, 8))

    assert prediction[0, 0].tolist() == [0, 0, 0, 2, 2, 1, 1, 1]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1 << 20),
    shape=st.tuples(st.integers(1, 2), st.sampled_from([2, 3, 11]), st.integers(1, 9), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    align_corners=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]),
)
def test_equals_interpolating_everything_for_any_ratio(seed, shape, size, align_corners, dtype):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)

    assert_equal_except_ties(logits, size, align_corners)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("num_classes", [19, 150])
def test_equals_interpolating_everything_on_smooth_regions(num_classes, align_corners):
    generator = torch.Generator().manual_seed(0)
    blobs = F.interpolate(
        torch.randn(2, num_classes, 3, 4, generator=generator), (24, 32), mode="bicubic", align_corners=False
    )

    assert assert_equal_except_ties(blobs, (90, 131), align_corners) == 0


@pytest.mark.parametrize("values", [1, 3])
def test_constant_and_coarsely_tied_logits_give_the_first_of_the_best(values):
    generator = torch.Generator().manual_seed(1)
    # Small integers at dyadic ratios: every product and sum is exact, so ties are exact ties too.
    logits = torch.randint(values, (1, 7, 6, 8), generator=generator).float()

    assert torch.equal(upsampled_argmax(logits, (24, 32)).long(), reference(logits, (24, 32), False).argmax(1))


def test_shrinking_is_exact_too():
    logits = torch.randn(2, 5, 40, 60, generator=torch.Generator().manual_seed(2))

    assert assert_equal_except_ties(logits, (17, 23)) == 0


def test_equal_sizes_need_no_interpolation():
    logits = torch.randn(2, 5, 6, 7)

    assert torch.equal(upsampled_argmax(logits, (6, 7)).long(), logits.argmax(1))


def test_one_class_is_everywhere():
    assert upsampled_argmax(torch.randn(1, 1, 2, 3), (4, 5)).tolist() == [[[0] * 5] * 4]


def test_many_chunks_give_what_one_chunk_gives(monkeypatch):
    logits = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(3))
    whole = upsampled_argmax(logits, (31, 29))

    monkeypatch.setattr("pixelwise.metrics.argmax.CHUNK_VALUES", 50)

    assert torch.equal(upsampled_argmax(logits, (31, 29)), whole)


def test_channels_last_logits_give_the_same_classes():
    logits = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(4))

    assert torch.equal(
        upsampled_argmax(logits.contiguous(memory_format=torch.channels_last), (31, 29)),
        upsampled_argmax(logits, (31, 29)),
    )


def test_class_ids_are_uint8_as_long_as_they_fit():
    assert upsampled_argmax(torch.randn(1, 255, 2, 2), (4, 4)).dtype == torch.uint8
    assert upsampled_argmax(torch.randn(1, 256, 2, 2), (4, 4)).dtype == torch.int64


def test_no_full_size_logits_are_built(monkeypatch):
    logits = F.interpolate(torch.randn(1, 64, 4, 4), (64, 64), mode="bicubic", align_corners=False)
    sizes = []
    original = torch.addcmul

    def addcmul(*arguments):
        result = original(*arguments)
        sizes.append(result.numel())
        return result

    monkeypatch.setattr(torch, "addcmul", addcmul)
    monkeypatch.setattr(F, "interpolate", None)

    upsampled_argmax(logits, (512, 512))

    assert len(sizes) > 3
    assert sum(sizes) < 64 * 512 * 512 / 8


@pytest.mark.parametrize("scale", [2, 3, 4, 8, 40])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_classes", [19, 150])
def test_pure_noise_decides_nothing_early_and_is_exact_too(num_classes, dtype, align_corners, scale):
    logits = torch.randn(1, num_classes, 5, 7, generator=torch.Generator().manual_seed(5)).to(dtype)

    assert assert_equal_except_ties(logits, (5 * scale, 7 * scale), align_corners) <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (37, 53), (200, 300)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (13, 17)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_single_rows_and_columns_are_exact(shape, size, align_corners):
    logits = torch.randn(2, 6, *shape, generator=torch.Generator().manual_seed(6))

    assert assert_equal_except_ties(logits, size, align_corners) == 0


def test_a_class_that_is_nowhere_below_another_is_not_left_out():
    # At the corners of the only cell: class 0 is 4, 0, 0, 4 and class 1 is 0, 4, 4, 0; class 2, 1.9 at each, stays
    # below both ends of both but above the smaller of them nowhere: their larger one is at least 2. Class 3 is
    # 2.1 everywhere and wins where they meet.
    corners = [[4, 0, 0, 4], [0, 4, 4, 0], [1.9] * 4, [2.1] * 4]
    logits = torch.tensor(corners).view(1, 4, 2, 2)

    prediction = upsampled_argmax(logits, (64, 64))

    assert torch.equal(prediction.long(), reference(logits, (64, 64), False).argmax(1))
    assert prediction.unique().tolist() == [0, 1, 3]


def test_more_classes_than_uint8_holds_are_exact():
    logits = torch.randn(1, 300, 4, 5, generator=torch.Generator().manual_seed(7))
    logits[0, 299, 1:3, 2] = 9

    assert assert_equal_except_ties(logits, (17, 18)) == 0
    assert int((upsampled_argmax(logits, (17, 18)) == 299).sum()) > 0


@pytest.mark.parametrize("bands", [1, 7, 100])
def test_bands_of_any_height_give_the_same(monkeypatch, bands):
    logits = torch.randn(2, 5, 11, 7, generator=torch.Generator().manual_seed(8))
    whole = upsampled_argmax(logits, (47, 29))

    monkeypatch.setattr("pixelwise.metrics.argmax.BAND_BLOCKS", bands)
    monkeypatch.setattr("pixelwise.metrics.argmax.BAND_CELLS", bands)

    assert torch.equal(upsampled_argmax(logits, (47, 29)), whole)


def test_logits_with_gaps_in_memory_are_read_right():
    wide = torch.randn(2, 12, 6, 14, generator=torch.Generator().manual_seed(9))
    logits = wide[:, ::2, :, ::2]

    assert torch.equal(upsampled_argmax(logits, (31, 29)), upsampled_argmax(logits.contiguous(), (31, 29)))
    assert torch.equal(upsampled_argmax(logits.requires_grad_(), (31, 29)), upsampled_argmax(logits.detach(), (31, 29)))


PEAK = """
import sys, torch
from pathlib import Path
from pixelwise.metrics import confusion_matrix, upsampled_argmax

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

torch.set_num_threads(1)
upsampled_argmax(torch.randn(1, 3, 8, 8), (16, 16))
labels = torch.randint(0, 150, (2048, 4096), dtype=torch.uint8)
logits = torch.empty(1, 150, *map(int, sys.argv[1:])).normal_()
before = peak()
matrix = confusion_matrix(labels, upsampled_argmax(logits, (2048, 4096))[0], 150)
assert int(matrix.sum()) == labels.numel()
print(peak() - before)
"""


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux")
@pytest.mark.parametrize("stride", [8, 4])
def test_the_worst_logits_of_150_classes_at_2048x4096_take_little_memory(stride):
    # Noise leaves every pixel undecided; full-size logits would be 4.7 GiB.
    command = [sys.executable, "-c", PEAK, str(2048 // stride), str(4096 // stride)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert float(done.stdout) < 200
