from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.deployment.export.shapes import graph_options, one_size
from pixelwise.deployment.export.sources import Source, open_source
from pixelwise.errors import RecipeError
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.recipes.schema.recipe import Data
from pixelwise.runtimes.targets import Target, find_target
from pixelwise.storage import write_text

SIZE = (48, 64)
FREE = find_target("onnx")
ONE = msgspec.structs.replace(FREE, name="one-size", any_size=False)


@pytest.fixture
def source(small_run: Path) -> Source:
    return open_source(str(small_run))


def under(source: Source, *protocols: str, data: str = "town", **changes: Any) -> Source:
    evaluation = msgspec.structs.replace(source.recipe.evaluation, **changes)
    if protocols:
        evaluation = msgspec.structs.replace(evaluation, protocols=protocols)
    section = msgspec.structs.replace(source.recipe.data, dataset=data)
    return msgspec.structs.replace(
        source, recipe=msgspec.structs.replace(source.recipe, evaluation=evaluation, data=section)
    )


@pytest.mark.parametrize(
    ("target", "options", "dynamic", "size"),
    [
        (FREE, {}, True, None),
        (FREE, {"dynamic": True}, True, None),
        (FREE, {"dynamic": True, "size": (32, 40)}, True, (32, 40)),
        (FREE, {"size": (32, 40)}, False, (32, 40)),
        (ONE, {"size": (32, 40)}, False, (32, 40)),
    ],
)
def test_an_artefact_takes_any_size_unless_one_is_asked_for(
    source: Source, target: Target, options: dict[str, Any], dynamic: bool, size: Any
) -> None:
    graph = graph_options(source, target, ExportOptions(**options), lambda *_: pytest.fail("there is nothing to say"))
    assert graph.dynamic == dynamic
    assert size is None or graph.size == size


@pytest.mark.parametrize(
    ("protocol", "changes", "options", "stride"),
    [
        ("native", {}, {}, 1),
        ("native", {"input_size": (24, 32)}, {}, None),
        ("enet-1024x512", {}, {}, None),
        ("within-64x48", {}, {}, None),
        ("slide-32x32", {}, {}, 1),
        ("tf-deeplab-2049x1025", {}, {}, 1),  # padded: classes are decided at the size of the padded input
        ("within-64x48", {}, {"argmax": True}, 1),
        ("within-64x48", {}, {"output_stride": 1}, 1),
        ("within-64x48", {}, {"output_stride": 4}, 4),
        ("native", {}, {"output_stride": "head"}, None),
    ],
)
def test_logits_of_a_run_that_resizes_images_keep_their_stride_unless_another_one_is_asked_for(
    source: Source, protocol: str, changes: dict[str, Any], options: dict[str, Any], stride: int | None
) -> None:
    graph = graph_options(under(source, protocol, **changes), FREE, ExportOptions(**options), lambda *_: None)
    assert graph.output_stride == stride


def test_a_stride_is_a_number_or_that_of_the_head(source: Source) -> None:
    with pytest.raises(RecipeError) as caught:
        graph_options(source, FREE, ExportOptions(output_stride="hed"), lambda *_: None)  # type: ignore[arg-type]
    assert (caught.value.code, "'hed'" in caught.value.message) == ("R242", True)


@pytest.mark.parametrize(
    ("protocol", "changes", "size", "codes"),
    [
        ("native", {}, SIZE, ["W470"]),  # all images of the town have this size
        ("native", {"input_size": (24, 32)}, (24, 32), []),
        ("enet-1024x512", {}, (512, 1024), []),
        ("tf-deeplab-2049x1025", {}, (1025, 2049), ["W470"]),
        ("slide-32x32", {}, SIZE, ["W470"]),
    ],
)
def test_a_runtime_of_one_size_gets_the_size_at_which_the_run_sees_all_images(
    source: Source, protocol: str, changes: dict[str, Any], size: Any, codes: list[str]
) -> None:
    told: list[str] = []
    graph = graph_options(under(source, protocol, **changes), ONE, ExportOptions(), lambda code, _: told.append(code))
    assert (graph.dynamic, graph.size, told) == (False, size, codes)


def test_a_run_without_one_size_needs_to_be_told(source: Source, small_run: Path, tmp_path: Path) -> None:
    for name, found in (
        ("fit", under(source, "ssseg-2048x512")),
        ("unknown data", under(source, data="folder")),
    ):
        with pytest.raises(RecipeError, match="one-size") as caught:
            graph_options(found, ONE, ExportOptions(), lambda *_: None)
        assert (caught.value.code, "`size`" in caught.value.help) == ("R244", True), name
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    data = folder_of(tmp_path / "data", [SIZE, (50, 60)])
    write_text(run / "environment.json", msgspec.json.encode({"arguments": {"data": str(data)}}).decode())
    mixed = msgspec.structs.replace(under(source, data="folder", split="val"), run=run)
    with pytest.raises(RecipeError) as caught:
        graph_options(mixed, ONE, ExportOptions(), lambda *_: None)
    assert caught.value.code == "R244"
    shutil.rmtree(data)
    with pytest.raises(RecipeError):
        graph_options(mixed, ONE, ExportOptions(), lambda *_: None)


def test_random_weights_take_the_usual_size_and_say_so(source: Source) -> None:
    told: list[str] = []
    random = msgspec.structs.replace(under(source, data="folder"), run=None)
    graph = graph_options(random, ONE, ExportOptions(), lambda code, _: told.append(code))
    assert (graph.dynamic, told) == (False, ["W470"])


def folder_of(folder: Path, sizes: list[tuple[int, int]]) -> Path:
    for index, (height, width) in enumerate(sizes):
        for kind, mode in (("images", "RGB"), ("masks", "L")):
            file = folder / kind / "val" / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (width, height)).save(file)
    return folder


def test_one_size_is_that_of_every_image_or_of_the_protocol(tmp_path: Path) -> None:
    native = PROTOCOLS["native"]
    same = open_dataset(Data(dataset="folder"), folder_of(tmp_path / "same", [(20, 30), (20, 30)]))
    mixed = open_dataset(Data(dataset="folder"), folder_of(tmp_path / "mixed", [(20, 30), (30, 20)]))
    assert one_size(same, "val", native, None) == (20, 30)
    assert one_size(mixed, "val", native, None) is None
    assert one_size(mixed, "val", native, (8, 9)) == (8, 9)
    assert one_size(same, "val", PROTOCOLS["torchvision-520"], None) is None
    assert one_size(mixed, "val", PROTOCOLS["enet-1024x512"], None) == (512, 1024)
