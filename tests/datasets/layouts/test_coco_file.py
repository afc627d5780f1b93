import json
import re
from pathlib import Path
from typing import Any

import pytest

from pixelwise.datasets.layouts.coco_file import is_coco, read_coco, unlike_coco
from pixelwise.errors import DataError

CONTENT: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
    "annotations": [{"id": 5, "image_id": 1, "category_id": 2, "segmentation": [[0, 0, 1, 0, 1, 1]], "area": 1.5}],
    "categories": [{"id": 2, "name": "crack"}],
}


def write(folder: Path, content: Any, encoding: str = "utf-8") -> Path:
    file = folder / "coco.json"
    file.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode(encoding))
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("area", ["NaN", "-Infinity", "null", "undefined", '"NaN"'])
def test_files_are_read_as_tools_write_them(tmp_path: Path, encoding: str, area: str):
    text = json.dumps({**CONTENT, "info": 'a "NaN" is\n\\"NaN'}).replace("1.5", area)
    file = write(tmp_path, text, encoding)
    found = read_coco(file)
    assert is_coco(file)
    assert (found.images[0].names, found.images[0].size) == (("a.png",), (6, 8))
    assert (found.annotations[0].image, found.annotations[0].category) == ("1", "2")
    assert bytes(found.annotations[0].segmentation) == json.dumps([[0, 0, 1, 0, 1, 1]]).encode()


@pytest.mark.parametrize(
    ("id", "key"), [(7, "7"), ("7", "7"), (7.0, "7"), ("007", "7"), (" 7", "7"), ("a7", "a7"), (-1, "-1")]
)
def test_ids_of_the_same_digits_are_equal(tmp_path: Path, id: Any, key: str):
    file = write(tmp_path, {**CONTENT, "images": [{"id": id, "path": "x/a.png", "coco_url": "http://h/a.png"}]})
    (image,) = read_coco(file).images
    assert (image.key, image.names, image.size) == (key, ("x/a.png", "http://h/a.png"), None)


@pytest.mark.parametrize(
    ("section", "field", "value", "message"),
    [
        ("images", "height", "tall", r"images\[0\]\.height is text; expected a number or null"),
        ("images", "file_name", 3, r"images\[0\]\.file_name is a number; expected text or null"),
        ("images", "id", [1], r"images\[0\]\.id is a list; expected"),
        ("annotations", "image_id", True, r"annotations\[0\]\.image_id is true or false; expected"),
        ("annotations", "category_id", ..., r"annotations\[0\] has no `category_id`"),
        ("categories", "name", None, r"categories\[0\]\.name is null; expected text"),
    ],
)
def test_an_error_names_file_entry_and_field(tmp_path: Path, section: str, field: str, value: Any, message: str):
    (entry,) = CONTENT[section]
    changed = {key: one for key, one in {**entry, field: value}.items() if one is not ...}
    with pytest.raises(DataError) as caught:
        read_coco(write(tmp_path, {**CONTENT, section: [changed]}))
    assert caught.value.code == "D230"
    assert re.search(rf"coco\.json: {message}", caught.value.message)


@pytest.mark.parametrize(
    ("content", "message"), [("[1]", "the file is a list; expected an object"), ('{"images": []', "ends too early")]
)
def test_what_is_no_such_file_is_an_error(tmp_path: Path, content: str, message: str):
    with pytest.raises(DataError, match=message):
        read_coco(write(tmp_path, content))


def test_other_files_are_told_from_damaged_ones(tmp_path: Path):
    assert not is_coco(write(tmp_path, {"images": []}))
    assert unlike_coco(write(tmp_path, {"images": [{"file_name": "a"}], "annotations": []}))
    assert not unlike_coco(write(tmp_path, {"name": "package"}))
    with pytest.raises(DataError, match=r"D230.*coco\.json"):
        unlike_coco(write(tmp_path, '{"images": [{"file_name": "a'))
