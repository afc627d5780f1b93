"""Parts of Swin; the whole network is compared with an original in tests/models/test_upernet.py."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch

from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.swin import (
    APART,
    STRIDES,
    VARIANTS,
    WINDOW,
    PatchMerging,
    Swin,
    Variant,
    filled_up,
    in_windows,
    movement_mask,
    out_of_windows,
)
from pixelwise.backbones.timm import TimmEncoder
from pixelwise.errors import RecipeError

SMALL = Variant(12, (2, 2), 1)


def test_windows_hold_their_positions_row_by_row_and_can_be_put_back() -> None:
    features = torch.arange(14 * 21).reshape(1, 14, 21, 1)
    windows = in_windows(features)

    assert windows.shape == (1, 6, 49, 1)
    assert windows[0, 1, :8, 0].tolist() == [7, 8, 9, 10, 11, 12, 13, 28]  # the second window of the first row
    assert torch.equal(out_of_windows(windows, 14, 21), features)


def test_only_moved_windows_at_the_end_keep_positions_apart() -> None:
    mask = movement_mask(14, 7, 3, torch.zeros(1))[:, 0]

    # One column of windows: in it, columns 0..3 and 4..6 come from opposite edges, in the last one rows as well.
    first, last = (one.reshape(7, 7, 7, 7) for one in mask)
    assert first[0, 0, 6, 3] == last[0, 0, 3, 3] == last[4, 4, 6, 6] == 0
    assert first[0, 0, 0, 4] == first[0, 6, 6, 3] == APART
    assert last[0, 0, 4, 0] == last[3, 0, 4, 0] == last[0, 4, 0, 3] == APART
    assert torch.equal(mask, mask.transpose(1, 2))


def test_maps_are_filled_up_with_zeros_at_the_end() -> None:
    features = torch.ones(1, 5, 14, 2)
    filled = filled_up(features, 7)

    assert filled.shape == (1, 7, 14, 2)
    assert (filled[:, :5] == 1).all()
    assert (filled[:, 5:] == 0).all()
    assert filled_up(filled, 7) is filled


def test_merging_joins_four_neighbours_column_by_column() -> None:
    merging = PatchMerging(1)
    seen: list[torch.Tensor] = []
    merging.norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))

    merging(torch.arange(1.0, 7.0).reshape(1, 2, 3, 1))

    assert seen[0].tolist() == [[[[1, 4, 2, 5], [3, 6, 0, 0]]]]


def test_timms_weights_fit_and_give_the_same_maps_where_windows_fit() -> None:
    options = {"embed_dim": 12, "depths": (2, 2), "num_heads": (1, 2), "strict_img_size": False, "img_size": 112}
    torch.manual_seed(0)
    timms = TimmEncoder("swin_tiny_patch4_window7_224", always_partition=True, out_indices=(0, 1), **options).eval()
    ours = Swin("small", variant=SMALL).eval()
    ours.load_state_dict(timms.network.state_dict())
    fitting, others = torch.rand(1, 3, 112, 56), torch.rand(1, 3, 96, 56)

    with torch.no_grad():
        for mine, theirs in zip(ours(fitting), timms(fitting), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-5)
        # timm moves the windows before it fills the last ones up.
        assert not torch.allclose(ours(others)[0], timms(others)[0], atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (33, 47)])
def test_any_size_is_encoded(size: tuple[int, int]) -> None:
    encoder = Swin("small", in_channels=4, variant=SMALL).eval()
    with torch.no_grad():
        maps = encoder(torch.rand(2, 4, *size))
    assert [tuple(one.shape) for one in maps] == [
        (2, channels, -(-size[0] // stride), -(-size[1] // stride)) for channels, stride in ((12, 4), (24, 8))
    ]


@pytest.mark.heavy
def test_every_variant_has_timms_weights() -> None:
    import timm

    for name in VARIANTS:
        with torch.device("meta"):
            ours = build_encoder(name)
            theirs = timm.create_model(ours.timm_name, features_only=True)
        assert {key: value.shape for key, value in ours.state_dict().items()} == {
            key: value.shape for key, value in theirs.state_dict().items()
        }


def test_blocks_are_skipped_with_growing_probability() -> None:
    encoder = Swin("small", drop_path=0.3, variant=SMALL)
    found = [module.drop_path for module in encoder.modules() if hasattr(module, "drop_path")]
    assert found == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(RecipeError, match="no Swin named 'swin_huge'") as caught:
        Swin("swin_huge")
    assert caught.value.code == "R207"
    with pytest.raises(RecipeError, match="supports output stride 32, not 16"):
        build_encoder("swin_tiny", 16)


@pytest.mark.heavy
def test_a_graph_of_any_size_gives_the_same_maps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = Swin("swin_tiny", variant=SMALL).eval()
    open_sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    images = torch.rand(2, 3, *encoder.traced_size)
    with torch.no_grad():
        program = torch.export.export(encoder, (images,), dynamic_shapes=(open_sizes,), strict=False)
    torch.onnx.export(program, dynamo=True, verbose=False).save(tmp_path / "swin.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "swin.onnx")
    for shape in ((1, 3, 28, 28), (2, 3, 33, 47), (1, 3, 90, 64), (1, 3, 20, 128)):
        images = torch.rand(shape)
        with torch.no_grad():
            expected = encoder(images)
        found = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        for one, other in zip(expected, found, strict=True):
            assert torch.allclose(one, torch.from_numpy(other), atol=1e-5)


@pytest.mark.parametrize(
    ("window", "expected"),
    [(WINDOW, [(11, 19), (6, 10), (3, 5), (2, 3)]), (12, [(10, 18), (5, 9), (3, 5), (2, 3)])],
)
def test_every_map_of_the_traced_image_has_several_windows(window: int, expected: list[tuple[int, int]]) -> None:
    size = Swin("small", variant=SMALL._replace(window=window)).traced_size
    assert [tuple(-(-side // (stride * window)) for side in size) for stride in STRIDES] == expected
