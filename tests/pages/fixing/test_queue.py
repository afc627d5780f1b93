from pathlib import Path

import pytest

from pixelwise.pages.fixing.queue import Ranked, read_queue
from pixelwise.storage.documents import DocumentError


def test_a_queue_has_images_and_scores(tmp_path: Path):
    assert read_queue(tmp_path) == ()
    (tmp_path / "queue.json").write_text(
        '{"run": "x", "images": [{"image": "b.png", "score": 0.5, "why": 1}, {"image": "a"}]}'
    )
    assert read_queue(tmp_path) == (Ranked("b.png", 0.5), Ranked("a"))


@pytest.mark.parametrize("text", ["{}", "[]", '{"images": ["a.png"]}', "{"])
def test_something_else_is_refused(tmp_path: Path, text: str):
    (tmp_path / "queue.json").write_text(text)
    with pytest.raises(DocumentError, match=r"queue\.json"):
        read_queue(tmp_path)
