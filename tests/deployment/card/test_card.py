from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PIL import Image

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.card import candidates
from pixelwise.deployment.card.candidates import Material, Shape, make_artefact, plan_artefacts
from pixelwise.deployment.card.card import CardRow, DeployCard, check_budget, deploy, with_latencies
from pixelwise.deployment.card.scoring import equal_pixels, score_artefact, split_ground
from pixelwise.deployment.export.export import Exported, export
from pixelwise.deployment.export.formats import NEEDED
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.records.result import load_result
from pixelwise.records.run_folder import RECIPE
from pixelwise.runtimes import load_artefact, write_sidecar
from pixelwise.runtimes.engines import EXTRAS
from pixelwise.storage import write_text

SIZE = (48, 64)
SHAPE = Shape(size=SIZE, dynamic=False)
MATERIAL = Material(data="town", images=None, calibration_images=4)


@pytest.fixture(scope="module")
def card(small_run: Path, small_town: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DeployCard, Path]:
    """Of ONNX and of a format whose package is missing, without latencies."""
    output = tmp_path_factory.mktemp("cards") / "card"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NEEDED, "executorch", ("not_installed_anywhere",))
        patch.setitem(EXTRAS, "not_installed_anywhere", "edge")
        made = deploy(
            small_run, output, targets=("onnx", "executorch"), data=small_town, split="val", rounds=0, max_miou_drop=0.5
        )
    return made, output


def test_the_card_has_pytorch_first_and_a_row_per_format(card: tuple[DeployCard, Path]) -> None:
    made, _ = card
    names = [row.name for row in made.rows if row.runtime != "torch-bf16"]
    assert names == ["PyTorch", "PyTorch, channels last", "ONNX Runtime", "ExecuTorch"]
    assert (made.split, made.protocol, made.images, made.seen_size) == ("val", "native", 2, SIZE)


def test_what_was_exported_is_scored_like_pytorch_and_its_results_are_kept(card: tuple[DeployCard, Path]) -> None:
    made, output = card
    reference, onnx = made.rows[0], next(row for row in made.rows if row.runtime == "onnx")
    assert reference.miou is not None
    assert reference.miou == load_result(output / "torch" / "evaluations" / "val-native").miou
    assert onnx.miou == load_result(output / "onnx" / "evaluations" / "val-native").miou
    assert onnx.miou == pytest.approx(reference.miou, abs=1e-3)
    assert onnx.miou_drop == reference.miou - onnx.miou
    assert onnx.equal_pixels is not None
    assert onnx.equal_pixels > 0.999
    assert onnx.size_bytes == (output / "onnx" / "model.onnx").stat().st_size


def test_a_format_whose_package_is_missing_is_a_row_with_the_reason(card: tuple[DeployCard, Path]) -> None:
    made, output = card
    row = made.rows[-1]
    assert row.reason.startswith("[R240] exporting to executorch needs the package not_installed_anywhere")
    assert (row.size_bytes, row.miou, row.equal_pixels, row.latencies) == (None, None, None, ())
    assert not (output / "executorch").exists()


def test_a_second_card_does_not_go_into_the_same_folder(card: tuple[DeployCard, Path], small_run: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        deploy(small_run, card[1])
    assert caught.value.code == "R243"


def test_the_budget_fails_for_more_than_it_allows_and_names_the_row(card: tuple[DeployCard, Path]) -> None:
    made, _ = card
    check_budget(made)

    def with_drop(drop: float) -> DeployCard:
        onnx = next(row for row in made.rows if row.runtime == "onnx")
        return msgspec.structs.replace(made, rows=(made.rows[0], msgspec.structs.replace(onnx, miou_drop=drop)))

    check_budget(with_drop(0.005))
    check_budget(msgspec.structs.replace(with_drop(0.5), max_miou_drop=None))
    with pytest.raises(CheckpointError, match=r"more than 0.5 points: ONNX Runtime 0\.60") as caught:
        check_budget(with_drop(0.006))
    assert (caught.value.code, caught.value.exit_code) == ("K468", 4)


def test_a_card_survives_json(card: tuple[DeployCard, Path]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(card[0]), type=DeployCard) == card[0]


def test_a_quantizer_is_given_the_shape_and_the_images_and_its_precision_is_taken_over(
    small_run: Path, tmp_path: Path
) -> None:
    asked = {}

    def quantizer(source: str, output: Path, target: candidates.Runtime, **arguments: object) -> Exported:
        asked.update(arguments, source=source, target=target)
        made = export(source, output, target, size=SIZE)
        sidecar = msgspec.structs.replace(made.sidecar, precision="int8")
        write_sidecar(sidecar, output / "model.toml")
        return Exported(path=made.path, sidecar=sidecar)

    plans = plan_artefacts(str(small_run), ("onnx", "executorch"), ("ptq",), SHAPE, MATERIAL, quantizer=quantizer)
    assert [(plan.name, plan.method) for plan in plans] == [("onnx", ""), ("executorch", ""), ("onnx-int8-ptq", "ptq")]
    made = make_artefact(plans[-1], tmp_path)
    assert made.exported is not None
    assert made.exported.sidecar.precision == "int8"
    assert (asked["source"], asked["target"], asked["force"]) == (str(small_run), "onnx", True)
    assert (asked["size"], asked["dynamic"], asked["data"], asked["calibration_images"]) == (SIZE, False, "town", 4)


@pytest.fixture
def trained_in_8_bits(small_recipe: Recipe, tmp_path: Path) -> Path:
    """A run folder as far as plans look at it."""
    write_text(tmp_path / "8bit" / RECIPE, to_toml(msgspec.structs.replace(small_recipe, quantization="x86-8bit")))
    return tmp_path / "8bit"


def test_a_run_trained_in_8_bits_is_named_and_becomes_onnx(small_run: Path, trained_in_8_bits: Path) -> None:
    plans = plan_artefacts(str(small_run), ("openvino",), ("qat",), SHAPE, MATERIAL, qat_run=str(trained_in_8_bits))
    assert [(plan.name, plan.runtime, plan.method) for plan in plans] == [
        ("openvino", "openvino", ""),
        ("onnx-int8-qat", "onnx", "qat"),
    ]


def test_the_run_that_is_named_has_8_bits_and_the_same_classes(
    small_run: Path, small_recipe: Recipe, trained_in_8_bits: Path, tmp_path: Path
) -> None:
    other = apply_overrides(small_recipe, ["quantization=x86-8bit", "data.dataset=cityscapes"])
    write_text(tmp_path / "other" / RECIPE, to_toml(other))
    for int8, named, words in (
        (("qat",), small_run, "was not trained with 8-bit numbers"),
        (("qat",), tmp_path / "other", r"other has the classes road, sidewalk, building, \.\.\. \(19\), "),
        (("ptq",), trained_in_8_bits, "--qat-run is given without --int8 qat"),
    ):
        with pytest.raises(RecipeError, match=words) as caught:
            plan_artefacts(str(small_run), ("onnx",), int8, SHAPE, MATERIAL, qat_run=str(named))
        assert caught.value.code == "R248"


@pytest.mark.parametrize(
    ("targets", "int8", "words"),
    [
        (("onnx", "tflite"), (), "names 'tflite'"),
        (("onnx",), ("int4",), "names 'int4'"),
        ((), (), "names no format"),
        (("executorch",), ("ptq",), "quantizes onnx and openvino"),
        (("onnx",), ("qat",), "was not trained with 8-bit numbers"),
    ],
)
def test_what_cannot_be_planned_is_refused(small_run: Path, targets: tuple, int8: tuple, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        plan_artefacts(str(small_run), targets, int8, SHAPE, MATERIAL)
    assert caught.value.code == "R248"


def test_a_budget_without_labels_is_refused(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        deploy(small_run, tmp_path / "card", images=tmp_path, max_miou_drop=0.5)
    assert caught.value.code == "R249"


def test_artefacts_have_one_size_only_where_the_protocol_shows_one(
    small_run: Path, small_recipe: Recipe, small_town: Path, tmp_path: Path
) -> None:
    def ground(recipe: Recipe = small_recipe, data: Path = small_town, **arguments):
        arguments = {"size": None, "dynamic": False, **arguments}
        return split_ground(small_run, recipe, data, "val", **arguments)

    assert (ground().fixed, ground().latency_size, ground().protocol.name) == (SIZE, SIZE, "native")
    assert (ground(size=(32, 32)).fixed, ground(size=(32, 32)).input_size) == ((32, 32), (32, 32))
    assert (ground(dynamic=True).fixed, ground(dynamic=True).latency_size) == (None, SIZE)
    evaluation = msgspec.structs.replace(small_recipe.evaluation, input_size=(24, 40))
    assert ground(msgspec.structs.replace(small_recipe, evaluation=evaluation)).fixed == (24, 40)

    mixed = tmp_path / "mixed"
    for index, size in enumerate((SIZE, (50, 60))):
        image, labels = draw_scene(0, index, size)
        for kind, array in (("images", image), ("masks", labels)):
            (mixed / kind / "val").mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(mixed / kind / "val" / f"{index}.png")
    assert ground(data=mixed).fixed is None

    views = msgspec.structs.replace(small_recipe.evaluation, protocols=("camvid-480x360-tta",))
    with_views = msgspec.structs.replace(small_recipe, evaluation=views)
    assert (ground(with_views).fixed, ground(with_views).protocol.name) == (None, "camvid-480x360-tta")
    assert ground(with_views, size=(32, 32)).protocol.name == "native"


def test_an_artefact_of_one_size_is_scored_at_it_whatever_the_recipe_says(
    small_run: Path, small_recipe: Recipe, small_town: Path, tmp_path: Path
) -> None:
    evaluation = msgspec.structs.replace(small_recipe.evaluation, input_size=(24, 40))
    recipe = msgspec.structs.replace(small_recipe, evaluation=evaluation)
    made = export(small_run, tmp_path / "onnx", size=(32, 48))
    sidecar = msgspec.structs.replace(made.sidecar, recipe=to_plain(recipe), recipe_hash=recipe.hash())
    write_sidecar(sidecar, tmp_path / "onnx" / "model.toml")
    ground = split_ground(small_run, recipe, small_town, "val", (32, 48), dynamic=False)
    miou = score_artefact(tmp_path / "onnx", ground)
    assert miou is not None
    result = load_result(tmp_path / "onnx" / "evaluations" / "val-native")
    assert result.input_size == (32, 48)
    assert equal_pixels(load_artefact(made.path), load_artefact(made.path), ground) == 1


@pytest.mark.heavy
def test_a_form_that_cannot_be_timed_does_not_take_the_others_with_it(small_run: Path, one_size: Exported) -> None:
    folder = one_size.path.parent
    rows = [
        CardRow(name="good", runtime="onnx", precision="float32", folder=folder.name),
        CardRow(name="gone", runtime="onnx", precision="float32", folder="nowhere"),
        CardRow(name="never made", runtime="openvino", precision="float32", folder="x", reason="because"),
    ]
    good, gone, never = with_latencies(rows, small_run, folder.parent, SIZE, (1,), 1)
    assert len(good.latencies) == 1
    assert gone.latencies == ()
    assert gone.reason.startswith("[K462]")
    assert never == rows[2]


@pytest.mark.heavy
def test_images_without_labels_give_agreement_alone(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    made = deploy(
        small_run, tmp_path / "card", targets=("onnx", "openvino"), images=small_town / "images" / "val", size=SIZE,
        rounds=1, threads=(1, 2), uint8_input=True, argmax=True,
    )  # fmt: skip
    assert (made.split, made.protocol, made.images) == ("", "", 2)
    assert all(row.miou is None and row.miou_drop is None for row in made.rows)
    assert all(row.equal_pixels is not None and row.equal_pixels > 0.99 for row in made.rows)
    for row in made.rows:
        assert [(latency.runtime, latency.threads) for latency in row.latencies] == [(row.runtime, 1), (row.runtime, 2)]
        assert {(latency.batch, latency.size, latency.rounds) for latency in row.latencies} == {(1, SIZE, 1)}
    with pytest.raises(DataError, match="no image"):
        deploy(small_run, tmp_path / "other", images=tmp_path / "nothing", size=SIZE)
