"""What a worker process does in tests: it obeys the images, without a model. Imports little, since it is spawned."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from pixelwise.serving.messages import Done, Failed, Finished, Model, Warned, decode_orders, encode

MODEL = Model(
    classes=("ground",), palette=("#000000",), multilabel=False, gives_scores=False, channels=3, batch=4, device="cpu",
    runtime="pytorch", recipe="", hashes={"weights": ""}, licence={}, preprocessing={},
)  # fmt: skip


def obey(parent: Connection, job: object, scratch: Path) -> None:
    """Answer an image with the number of threads; `die`, `hang`, `lie` and `warn` are done."""
    if getattr(job, "device", "") == "broken":
        parent.send_bytes(encode(Failed(number=-1, code="K420", message="no run", help="give one")))
        return
    parent.send_bytes(encode(MODEL))
    (scratch / "left behind").write_bytes(b"")
    while True:
        try:
            orders = decode_orders(parent.recv_bytes())
        except EOFError:
            return
        for order in orders:
            if order.content == b"die":
                os._exit(9)
            if order.content == b"hang":
                time.sleep(60)
            if order.content == b"lie":
                parent.send_bytes(b"\x80\x04no message")
            if order.content == b"warn":
                parent.send_bytes(encode(Warned(code="W471", message="of one size")))
            content = os.environ["OMP_NUM_THREADS"].encode()
            parent.send_bytes(encode(Done(number=order.number, media="", content=content, size=(1, 1))))
        parent.send_bytes(encode(Finished()))
