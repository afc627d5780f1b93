from __future__ import annotations

import io
import threading
from multiprocessing.connection import Pipe
from pathlib import Path

import numpy as np
import pytest
import tifffile
from evaluation.color_model import image_of
from PIL import Image
from serving_fakes import InsideWorker, png

from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.serving import work as module
from pixelwise.serving.messages import Done, Failed, Finished, Model, Order, decode_reply, encode
from pixelwise.serving.work import run
from pixelwise.serving.worker import Job

LABELS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((8, 6), np.uint8))


def test_images_of_equal_size_are_predicted_together_and_errors_are_their_own(tmp_path: Path):
    worker, found = InsideWorker(tmp_path), {}
    wide = image_of(LABELS[:8])
    orders = [
        Order(number=1, content=png(LABELS), form="arrays"),
        Order(number=2, content=b"no image"),
        Order(number=3, content=wide.tobytes(), shape=wide.shape, form="arrays"),
        Order(number=4, content=png(LABELS), form="arrays"),
    ]
    worker.work(orders, lambda reply: found.update({reply.number: reply}))
    assert isinstance(found[2], Failed)
    assert (found[2].code, found[2].message.partition(":")[0]) == ("D102", "image")
    assert all(np.array_equal(np.frombuffer(found[number].content, np.uint8), LABELS.ravel()) for number in (1, 4))
    assert (found[3].content, found[3].size) == (LABELS[:8].tobytes(), (8, 12))
    assert sorted(worker._handler._segmenter.model.sizes) == [(1, 3, 8, 12), (2, 3, 16, 12)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["arrays", "probabilities"])
def test_an_artefact_of_class_ids_says_that_it_has_no_scores(tmp_path: Path, form):
    worker, found = InsideWorker(tmp_path), []
    worker._handler._segmenter.model.gives_scores = False
    worker.work([Order(number=1, content=png(LABELS), form=form, scores=True)], found.append)
    assert [reply.code for reply in found] == ["K466"]


def test_a_fault_of_the_network_is_the_answer_to_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck\ndetails")

    worker, found = InsideWorker(tmp_path), []
    monkeypatch.setattr(Segmenter, "predict_alike", fail)
    worker.work([Order(number=number, content=png(LABELS)) for number in (1, 2)], found.append)
    assert [(reply.code, reply.message) for reply in found] == [("R280", "unexpected RuntimeError: out of luck")] * 2


def test_masks_and_probabilities_are_the_files_that_predict_writes(tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    random, sent = np.random.default_rng(0), {}
    for number, mode in enumerate(("RGB", "RGB", "L", "RGBA", "P")):
        noise = random.integers(0, 256, (13, 11 + number % 2, len(mode) if mode != "P" else 1), np.uint8)
        picture = Image.fromarray(noise.squeeze())
        picture.convert(mode).save(photos / f"{number}.png")
        sent[f"{number}"] = (photos / f"{number}.png").read_bytes()
    # A map with missing pixels, which are ignored in its mask.
    missing = [(42113, "s", 0, "0", True), (33550, "d", 3, (1.0, 1.0, 0.0), True)]
    missing += [(33922, "d", 6, (0.0, 0.0, 0.0, 5.0, 5.0, 0.0), True)]
    tifffile.imwrite(photos / "map.tif", image_of(LABELS), photometric="rgb", extratags=missing)
    worker = InsideWorker(tmp_path)
    predict_paths(worker._handler._segmenter, [photos], tmp_path / "out", probabilities=True)
    for form, folder in (("mask", "masks"), ("probabilities", "probabilities")):
        found: dict[int, bytes] = {}
        orders = [Order(number=int(name), content=content, form=form) for name, content in sent.items()]
        orders.append(Order(number=9, content=(photos / "map.tif").read_bytes(), form=form))
        worker.work(orders, lambda reply, found=found: found.update({reply.number: reply.content}))
        for path in (tmp_path / "out" / folder).iterdir():
            number = 9 if path.stem == "map" else int(path.stem)
            if (form, number) == ("mask", 9):  # whose file is a GeoTIFF
                assert np.array_equal(np.asarray(Image.open(io.BytesIO(found[9]))), tifffile.imread(path))
                assert 255 in tifffile.imread(path)
            else:
                assert found[number] == path.read_bytes(), path


def test_a_worker_serves_its_parent_until_the_connection_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    ours, theirs = Pipe()
    monkeypatch.setattr(module, "leave_signals_to_parent", lambda: None)
    monkeypatch.setattr(module, "handler_of", lambda job, scratch, send: InsideWorker(scratch, send)._handler)
    serving = threading.Thread(target=run, args=(theirs, Job(tmp_path, 1, 9), tmp_path))
    serving.start()
    assert isinstance(decode_reply(ours.recv_bytes()), Model)
    ours.send_bytes(encode([Order(number=5, content=png(LABELS))]))
    assert isinstance(decode_reply(ours.recv_bytes()), Done)
    assert isinstance(decode_reply(ours.recv_bytes()), Finished)
    ours.close()
    serving.join()


def test_a_model_that_cannot_be_loaded_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    ours, theirs = Pipe()
    monkeypatch.setattr(module, "leave_signals_to_parent", lambda: None)
    run(theirs, Job(tmp_path / "nowhere", 1, 9), tmp_path)
    assert decode_reply(ours.recv_bytes()).code == "K420"
