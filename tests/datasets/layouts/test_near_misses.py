"""Data that is not read gets a sentence of its own: miniatures as the tools write them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.format import FORMATS
from pixelwise.datasets.layouts.near_misses import near_miss
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.testing.miniatures import miniature_of, miniature_scenes

pytestmark = pytest.mark.usefixtures("own_cache")
DARWIN = {
    "version": "2.0",
    "schema_ref": "https://darwin-public.s3.eu-west-1.amazonaws.com/darwin_json/2.0/schema.json",
    "item": {"name": "a.jpg", "slots": [{"type": "image", "width": 4, "height": 1}]},
    "annotations": [{"name": "car", "polygon": {"paths": [[{"x": 0, "y": 0}]]}}],
}
VIA3 = {"project": {}, "file": {"1": {"fname": "a.jpg"}}, "metadata": {"1": {"vid": "1", "xy": [7, 0, 0], "av": {}}}}
HASTY = {"export_format_version": "1.1", "label_classes": [], "images": [{"image_name": "a.jpg", "labels": []}]}
ENCORD = [{"label_hash": "x", "data_units": {"u": {"labels": {"objects": []}}}, "object_answers": {}}]
LABELBOX = {"data_row": {"id": "1", "external_id": "a.jpg"}, "projects": {}}
DATUMARO = {"info": {}, "categories": {"label": {"labels": [{"name": "car"}]}}, "items": [{"id": "a"}]}
SCALABEL = [{"name": "a.jpg", "labels": [{"category": "road", "poly2d": [{"vertices": [[0, 0]]}]}]}]
CITYSCAPES = {"imgHeight": 1, "imgWidth": 4, "objects": [{"label": "road", "polygon": [[0, 0], [1, 0], [1, 1]]}]}
GEOJSON = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Polygon"}}]}
CREATEML = [{"image": "a.jpg", "annotations": [{"label": "car", "coordinates": {"x": 1, "y": 1}}]}]
MANIFEST = {"source-ref": "s3://b/a.jpg", "street-ref": "s3://b/o/a.png", "street-ref-metadata": {}}
VOC = "<annotation><filename>a.jpg</filename><object><bndbox><xmin>1</xmin></bndbox></object></annotation>"
WEB = "<annotation><filename>a.jpg</filename><object><polygon><pt><x>1</x></pt></polygon></object></annotation>"

CASES: dict[str, tuple[str, Any, str, str]] = {
    # file, content, what it is, what to do
    "darwin": ("releases/latest/annotations/a.json", DARWIN, "V7 Darwin", "COCO"),
    "via 3": ("via_project.json", VIA3, "VIA 3", "COCO"),
    "hasty": ("export.json", HASTY, "Hasty", "COCO"),
    "encord": ("labels.json", ENCORD, "Encord", "COCO"),
    "labelbox": ("export.ndjson", LABELBOX, "Labelbox", "masks"),
    "datumaro": ("annotations/train.json", DATUMARO, "Datumaro", "datum convert"),
    "segments": ("export.json", {"samples": [{"labels": {"segmentation_bitmap": {}}}]}, "Segments.ai", "masks"),
    "kili": ("data.json", [{"externalId": "a", "labels": [{"jsonResponse": {}}]}], "Kili", "COCO"),
    "superannotate": ("a.jpg.json", {"metadata": {}, "instances": [{"className": "car"}]}, "SuperAnnotate", "COCO"),
    "labelu": ("result.json", [{"fileName": "a", "result": {"polygonTool": {}}}], "labelU", "COCO"),
    "isat": ("a.json", {"info": {"description": "ISAT"}, "objects": [{"category": "car"}]}, "ISAT", "LabelMe or COCO"),
    "paligemma": ("annotations.jsonl", {"image": "a.jpg", "prefix": "segment", "suffix": "x"}, "PaliGemma", "COCO"),
    "scalabel": ("labels/train.json", SCALABEL, "Scalabel", "to_mask"),
    "cityscapes": ("gt/aachen/a_gtFine_polygons.json", CITYSCAPES, "Cityscapes", "csCreateTrainIdLabelImgs"),
    "qupath": ("a.geojson", GEOJSON, "GeoJSON", "rasterise"),
    "createml": ("_annotations.createml.json", CREATEML, "CreateML", "boxes have no outlines"),
    "ground truth": ("output.manifest", MANIFEST, "SageMaker", "source-ref"),
    "label studio": ("export.csv", "image,id,label,annotator,annotation_id,created_at\n", "Label Studio", "JSON"),
    "kaggle, named like a list": ("train.csv", "img,rle,height\na.jpg,1 3,1\n", "run lengths", "mask"),
    "kaggle": ("train_rle.csv", "ImageId,EncodedPixels\na,1 3\n", "run lengths", "mask"),
    "open images": ("masks.csv", "MaskPath,ImageID,LabelName,BoxID\n", "Open Images", "folder"),
    "boxes": ("_annotations.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n", "boxes", "no outlines"),
    "voc": ("a.xml", VOC, "Pascal VOC", "no outlines"),
    "labelme web": ("a.xml", WEB, "LabelMe's web page", "masks"),
    "nifti": ("labels/a.nii.gz", "x", "medical volumes", "slices"),
    "nrrd": ("labels/a.nrrd", "x", "medical volumes", "slices"),
    "dicom": ("series/a.dcm", "x", "DICOM", "slices"),
    "matlab": ("groundTruth/001.mat", "x", "MATLAB", "scipy.io.loadmat"),
    "tfrecord": ("train.tfrecord", "x", "TFRecord", "images/ and masks/"),
    "hugging face": ("data/train-00000-of-00001.parquet", "x", "Hugging Face", "images/ and masks/"),
    "hdf5": ("train.h5", "x", "HDF5", "images/ and masks/"),
    "zarr": ("volume.zarr/.zgroup", "{}", "Zarr", "images/ and masks/"),
    "lmdb": ("train/data.mdb", "x", "LMDB", "images/ and masks/"),
    "npz": ("slices/a.npz", "x", "NumPy", "images/a.npy"),
}


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(list(path.name.encode())).integers(0, 256, (1, 4, 3), np.uint8)).save(path)


@pytest.mark.parametrize("images", ["images/{}", "{}"])
@pytest.mark.parametrize("name", CASES)
def test_what_is_not_read_is_named_with_a_way_out(name: str, images: str, tmp_path: Path):
    file, content, title, help = CASES[name]
    root = tmp_path / "data"
    for stem in ("a", "b"):
        image(root / images.format(f"{stem}.jpg"))
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    with pytest.raises(DataError) as caught:
        open_dataset(Data(), root)
    assert (caught.value.code, title in caught.value.message, help in caught.value.help) == ("D243", True, True)
    assert file.removesuffix("/.zgroup") in caught.value.message


@pytest.mark.parametrize("name", [name for name in FORMATS.own() if name != "town"])
def test_what_is_read_is_no_near_miss(name: str, tmp_path: Path):
    format = FORMATS.find(name)
    miniature_of(format).write(tmp_path, miniature_scenes(format, (1, 1), (16, 24)))
    missed = near_miss(tmp_path)
    assert missed is None, missed


def test_masks_win_over_what_else_lies_in_the_folder(tmp_path: Path):
    for stem in ("a", "b"):
        image(tmp_path / "images" / f"{stem}.png")
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((1, 4), np.uint8)).save(tmp_path / "masks" / f"{stem}.png")
    (tmp_path / "via_project.json").write_text(json.dumps(VIA3), "utf-8")
    assert open_dataset(Data(), tmp_path).name == "folder"


def test_a_list_with_a_column_of_masks_stays_a_list_whatever_other_columns_it_has(tmp_path: Path):
    rows = ["image,mask,xmin,ymin,xmax,ymax,annotation_id,annotator"]
    for stem in ("a", "b"):
        image(tmp_path / "one" / f"{stem}.png")
        (tmp_path / "two").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((1, 4), np.uint8)).save(tmp_path / "two" / f"{stem}.png")
        rows.append(f"one/{stem}.png,two/{stem}.png,0,0,1,1,7,me")
    (tmp_path / "train.csv").write_text("\n".join(rows), "utf-8")
    assert open_dataset(Data(), tmp_path).name == "lists"


def test_masks_with_other_names_are_told_as_such_whatever_lies_beside_them(tmp_path: Path):
    for stem in ("a", "b"):
        image(tmp_path / "images" / f"{stem}.png")
        image(tmp_path / "masks" / f"other_{stem * 9}.png")
    (tmp_path / "stats.mat").write_bytes(b"x")
    problems = open_dataset(Data(), tmp_path).problems
    assert "D220" in {problem.code for problem in problems}


def test_an_unknown_folder_keeps_its_own_error(tmp_path: Path):
    image(tmp_path / "a.png")
    (tmp_path / "notes.json").write_text("{}", "utf-8")
    assert near_miss(tmp_path) is None
    with pytest.raises(DataError) as caught:
        open_dataset(Data(), tmp_path)
    assert caught.value.code == "D222"


def test_a_folder_that_cannot_be_listed_is_no_near_miss(tmp_path: Path):
    assert near_miss(tmp_path / "missing") is None
