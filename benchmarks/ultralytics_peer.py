"""The peer of `prediction.py` and `suite.py` that is ultralytics, which is AGPL-3.0 and not among our dependencies.

    python3 -m venv ELSEWHERE && ELSEWHERE/bin/pip install ultralytics
    python benchmarks/prediction.py --data CamVid --name prediction_peers --ultralytics ELSEWHERE/bin/python
    python benchmarks/suite.py --camvid CamVid --nuclei stage1_train --ultralytics ELSEWHERE/bin/python

The network is built from a description that ultralytics brings, with random weights: nothing is downloaded, and the
time does not depend on the weights. This file imports nothing of Pixelwise, and runs in the environment of ultralytics.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ANSWER = "contender: "


def train(words: list[str]) -> int:
    """Train with the defaults for some minutes, then write the masks of photos to FOLDER/masks.

    Args:
        words: Description of the network, data, photos, FOLDER, minutes, threads, seed, and the names of the classes.
    """
    import shutil

    import torch
    import ultralytics
    from PIL import Image

    name, data, photos, folder, minutes, threads, seed, *classes = words
    torch.set_num_threads(int(threads))
    place = Path(folder)
    described = {"path": data, "train": "images/train", "val": "images/val", "masks_dir": "masks"}
    # JSON is YAML, too.
    (place / "data.yaml").write_text(json.dumps(described | {"names": dict(enumerate(classes))}), "utf-8")
    shutil.rmtree(place / "run", ignore_errors=True)
    model: Any = ultralytics.YOLO(name)
    model.train(
        data=str(place / "data.yaml"), time=float(minutes) / 60, device="cpu", workers=0, seed=int(seed),
        project=str(place), name="run", exist_ok=True, plots=False, pretrained=False,
    )  # fmt: skip
    best = place / "run" / "weights" / "best.pt"
    model = ultralytics.YOLO(str(best if best.is_file() else best.with_name("last.pt")))
    (place / "masks").mkdir(exist_ok=True)
    files = sorted(Path(photos).glob("*.png"))
    found = model.predict([str(file) for file in files], stream=True, verbose=False, device="cpu")
    for file, one in zip(files, found, strict=True):
        labels = one.semantic_mask.data.to(torch.uint8).cpu().numpy().squeeze()
        Image.fromarray(labels).save(place / "masks" / file.name)
    return 0


def main() -> int:
    """Predict whenever a folder is named; the first answer says what the network is."""
    import torch
    import ultralytics
    from PIL import Image
    from torch.utils.flop_counter import FlopCounterMode

    name, images, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    model: Any = ultralytics.YOLO(name)
    files = [str(file) for file in sorted(images.iterdir())]
    options = {"imgsz": size, "stream": True, "verbose": False, "device": "cpu"}

    def predict(folder: Path) -> None:
        for file, found in zip(files, model.predict(files, **options), strict=True):
            labels = found.semantic_mask.data.to(torch.uint8).cpu().numpy().squeeze()
            Image.fromarray(labels).save(folder / f"{Path(file).stem}.png")

    # The network is fused at the first prediction, and counted as it is then, at the size that it sees.
    seen: list[torch.Tensor] = []
    for _ in model.predict(files[:1], **options):
        network = model.predictor.model.model
        hook = network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for _ in model.predict(files[:1], **options):
        hook.remove()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(seen[-1])
    facts = {
        "version": ultralytics.__version__,
        "network": Path(name).stem,
        "gmacs": counter.get_total_flops() / 2e9,
        "parameters": sum(one.numel() for one in network.parameters()),
        "seen": list(seen[-1].shape),
    }
    print(f"{ANSWER}ready {json.dumps(facts)}", flush=True)
    for line in sys.stdin:
        predict(Path(line.strip()))
        print(f"{ANSWER}done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(train(sys.argv[2:]) if sys.argv[1:2] == ["train"] else main())
