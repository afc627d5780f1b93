import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from observing import Listener

from pixelwise.datasets.auditing.audit import Audit, ImageSizes
from pixelwise.datasets.auditing.checking import Checked, examined, few_images
from pixelwise.datasets.findings import finding
from pixelwise.datasets.format import format_of
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.data import Data
from pixelwise.testing.miniatures import miniature_of, miniature_scenes

MASK = np.array([[0, 1], [2, 255]], np.uint8)
ERROR, OTHER, WARNING = (finding(code, code) for code in ("D201", "D202", "W217"))


@pytest.fixture
def checked(dataset_of: Callable[..., Dataset]) -> Callable[..., Checked]:
    """A check of data with so many pairs by split, of which so many can be used."""

    def make(
        splits: dict[str, int], *, unusable: int = 0, findings: tuple = (), overrides: tuple[str, ...] = ()
    ) -> Checked:
        dataset = dataset_of()
        audit = Audit(
            dataset="folder",
            layout="",
            classes=dataset.classes,
            splits=splits,
            statistics={},
            sizes=ImageSizes(),
            mask_encodings={},
            unusable={split: tuple(map(str, range(unusable))) for split in splits},
            findings=findings,
        )
        return Checked(
            path=Path("my data"),
            dataset=dataset,
            audit=audit,
            given="unet-resnet18",
            recipe=apply_overrides(recipe("unet-resnet18"), overrides),
            overrides=overrides,
            scores=(),
            suggestions=None,
            ceiling_split="",
            ceiling=(),
        )

    return make


@pytest.mark.parametrize(
    ("findings", "overrides", "refused", "verdict"),
    [
        ((), (), 0, "ready"),
        ((WARNING,), (), 0, "1 warning; ready"),
        ((ERROR, OTHER, WARNING), (), 2, "2 errors, 1 warning: fix the errors before training"),
        ((ERROR,), ('data.allow=["D201"]',), 0, "1 error allowed by data.allow; ready"),
        (
            (ERROR, OTHER),
            ('data.allow=["D201"]',),
            1,
            "1 error, 1 error allowed by data.allow: fix the errors before training",
        ),
    ],
)
def test_errors_refuse_training_unless_they_are_allowed(
    checked: Callable, findings: tuple, overrides: tuple, refused: int, verdict: str
):
    found = checked({"train": 2, "val": 1}, findings=findings, overrides=overrides)
    assert (found.refused_types, found.refused, found.verdict) == (refused, refused > 0, verdict)


def test_unusable_pairs_are_not_counted(checked: Callable):
    assert checked({"train": 5, "val": 1}, unusable=1).usable_pairs == {"train": 4, "val": 0}


@pytest.mark.parametrize(
    ("splits", "missing", "fixes"),
    [
        ({"train": 2, "val": 1, "test": 1}, set(), []),
        ({"train": 2, "test": 1}, {"evaluation.split", "selection.split"},
         ["evaluation.split=test", "selection.weights=last", "selection.every_epochs=0"]),
        ({"train": 2}, {"evaluation.split", "selection.split"},
         ["evaluation.split=train", "selection.weights=last", "selection.every_epochs=0"]),
        ({"val": 2}, {"data.train_split"}, []),
        ({}, {"data.train_split"}, []),
    ],
)  # fmt: skip
def test_splits_that_are_missing_are_replaced(checked: Callable, splits: dict, missing: set, fixes: list):
    found = checked(splits)
    assert set(found.missing_splits) == missing
    assert found.fixes == fixes
    assert found.refused == ("data.train_split" in missing)
    if fixes:
        assert found.verdict == "ready with other splits"


def test_weights_are_chosen_on_val_where_there_is_one(checked: Callable):
    found = checked({"train": 2, "val": 1}, overrides=("selection.split=dev",))
    assert found.fixes == ["selection.split=val"]


def test_another_split_to_train_on_is_named(checked: Callable):
    (sentence,) = checked({"other": 3}).split_fix("data.train_split")
    assert "data.train_split=other" in sentence


def test_pairs_that_are_all_wrong_are_explained_by_their_errors_alone(checked: Callable):
    wrong = checked({"train": 2, "val": 1}, unusable=2, findings=(ERROR,))
    assert (wrong.explained, wrong.refused_types) == (True, 1)
    allowed = checked({"train": 2, "val": 1}, unusable=2, findings=(ERROR,), overrides=('data.allow=["D201"]',))
    assert (allowed.explained, allowed.refused_types) == (False, 1)


def test_the_command_takes_what_the_check_took_but_for_splits_that_are_missing(checked: Callable):
    given = ("data.exif=ignore", "evaluation.split=dev")
    found = checked({"train": 2, "val": 1}, overrides=given)
    assert found.train_command == (
        "pixelwise train unet-resnet18 --data 'my data' data.exif=ignore evaluation.split=val sampling.batch_size=2"
    )


def test_a_folder_alone_means_the_default_recipe_unless_it_is_named_like_one(checked: Callable):
    def command(folder: str) -> str:
        one = msgspec.structs.replace(checked({"train": 9, "val": 9}), given="unet", path=Path(folder))
        return one.train_command.partition(" sampling")[0]

    assert command("photos") == "pixelwise train photos"
    assert command("town-demo") == "pixelwise train unet --data town-demo"


def test_a_recipe_file_says_what_differs(checked: Callable):
    plain = tomllib.loads(checked({"train": 2, "test": 1}).data_file())
    assert plain["base"] == "unet-resnet18"
    assert plain["data"]["dataset"] == "folder"
    assert plain["data"]["classes"] == ["class_0", "class_1", "class_2"]
    assert "town_seed" not in plain["data"]
    assert plain["evaluation"] == {"split": "test"}
    assert plain["selection"] == {"weights": "last", "every_epochs": 0}


def folder_with_test(make_folder: Callable[..., Path]) -> Path:
    return make_folder({f"{split}/{split}{number}": MASK for split in ("train", "test") for number in range(2)})


def test_a_folder_is_examined_on_the_split_that_is_scored(make_folder: Callable[..., Path]):
    listener = Listener()
    found = examined(folder_with_test(make_folder), observer=listener)
    assert (listener.phases, listener.last) == (["looking at the data"], (4, 4))
    assert found.recipe.name == "unet"
    assert found.ceiling_split == "test"
    assert [one.stride for one in found.ceiling] == [4, 8, 16, 32]
    assert found.suggestions is not None
    assert found.scores[0].share == 1
    plain = found.to_plain()
    assert plain["splits"] == {"train": 2, "test": 2}
    assert msgspec.json.encode(plain)


def test_measured_colours_are_comments_for_pretrained_encoders(make_folder: Callable[..., Path]):
    root = folder_with_test(make_folder)
    pretrained = examined(root, ["initialize.encoder=default"]).data_file()
    scratch = examined(root, ["initialize.encoder=none"]).data_file()
    assert "preprocessing" not in tomllib.loads(pretrained).get("model", {})
    assert "# [model.preprocessing]" in pretrained
    assert len(tomllib.loads(scratch)["model"]["preprocessing"]["mean"]) == 3


def test_without_a_usable_pair_nothing_is_measured(make_folder: Callable[..., Path]):
    root = make_folder({"train/a": np.array([[7]], np.uint8)})
    found = examined(root, ['data.classes=["a", "b"]'])
    assert (found.ceiling_split, found.ceiling, found.suggestions) == ("", (), None)
    assert found.refused


def test_mistakes_are_named(tmp_path: Path):
    with pytest.raises(DataError) as nothing:
        examined(tmp_path)
    with pytest.raises(RecipeError) as unknown:
        examined(tmp_path, recipe="unet-resnet81")
    assert (nothing.value.code, unknown.value.exit_code) == ("D222", 2)


def test_a_recipe_file_stays_a_file_in_the_command_and_as_a_base(
    make_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = folder_with_test(make_folder)
    for name in ("work", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("my.toml").write_text('base = "unet-resnet18"\noptimizer.lr = 0.125\n', "utf-8")
    found = examined(root, recipe="my.toml")
    assert found.train_command.startswith("pixelwise train my.toml --data ")
    written = tmp_path / "elsewhere" / "new.toml"
    written.write_text(found.data_file(), "utf-8")
    monkeypatch.chdir(tmp_path / "elsewhere")
    derived = find_recipe("new.toml")
    assert (derived.name, derived.optimizer.lr, derived.data.dataset) == ("new", 0.125, "folder")


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "ade20k", "cocostuff171", "cocoseg21", "voc-aug"])
def test_names_that_gave_the_classes_are_said_with_a_way_out_that_works(tmp_path: Path, name: str):
    format = format_of(name)
    (tmp_path / "data").mkdir()
    miniature_of(format).write(tmp_path / "data", miniature_scenes(format, (3, 2), (96, 128)))
    said = examined(tmp_path / "data").read_as
    assert said.startswith(f"read as {format.title} because of the names; ")
    if "data.dataset=" in said:
        other = said.split("data.dataset=")[1].split(" ")[0]
        dataset = open_dataset(Data(dataset=other), tmp_path / "data")
        assert dataset.name == other
        assert any(dataset.splits.values())
    assert examined(tmp_path / "data", [f"data.dataset={name}"]).read_as == ""


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": 3, "val": 1}, "only 3 images in train and 1 image in val"),
        ({"train": 30, "val": 9}, "only 9 images in val"),
        ({"train": 9, "val": 10}, "only 9 images in train"),
        ({"train": 10, "val": 10}, ""),
        ({"train": 10, "val": 0}, ""),
    ],
)
def test_few_images_are_a_warning(checked: Callable, splits: dict[str, int], said: str):
    found = checked(splits)
    few = few_images(found.audit, ["train", "val"])
    assert [finding.code for finding in few] == (["W260"] if said else [])
    assert not said or few[0].message.startswith(said + ":")


def test_the_command_has_a_batch_that_the_images_fill(checked: Callable):
    assert checked({"train": 2, "val": 9}).batch_fix == ["sampling.batch_size=2"]
    assert checked({"train": 80, "val": 9}).batch_fix == []
    assert checked({"train": 2, "val": 9}, overrides=("sampling.batch_size=1",)).batch_fix == []


def test_one_line_and_a_table_of_the_findings(checked: Callable[..., Checked]):
    one = checked({"train": 3, "val": 2}, findings=(ERROR, finding("W217", "<b>")))
    assert repr(one) == f"<Checked my data; 3 train, 2 val; {one.verdict}>"
    assert repr(one.audit) == "<Audit folder; 3 train, 2 val; 1 error, 1 warning>"
    page = one._repr_html_()
    assert one.verdict in page
    assert "&lt;b&gt;" in page
    assert all(name in page for name in one.dataset.classes)
    assert "nothing</td>" in checked({"train": 3})._repr_html_()
    assert "nothing</td>" in checked({"train": 3}).audit._repr_html_()
    found = one.audit._repr_html_()
    assert "folder: 3 train, 2 val; " in found
    assert [finding.code in found for finding in one.audit.findings] == [True] * len(one.audit.findings)
    assert "<script" not in found
