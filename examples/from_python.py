"""From a folder of labelled images to masks of new ones, from Python.

    python examples/from_python.py photos --minutes 20

`photos` holds the images and their masks in any of the layouts that `pixelwise check` knows. In a notebook, where every
result shows itself as a table or a picture, the lines of `main` are the cells.
"""

import argparse
from pathlib import Path
from typing import Any

import pixelwise


def main(photos: Path, output: Path, **training: Any) -> pixelwise.Run:
    """Check the data, train on it, look at the result and predict.

    Args:
        photos: Folder of the data set.
        output: Folder for the run and for what is made of it.
        **training: Options of the training, such as `minutes=20`.

    Returns:
        The run.
    """
    # What is in the folder, and what is wrong with it? On a terminal and in a notebook it shows itself.
    checked = pixelwise.check(photos)
    if checked.refused:
        raise SystemExit(checked.verdict)

    # Train. The recipe `unet` chooses crop, batch and length from the data and the minutes there are.
    run = pixelwise.train(photos, output=output / "run", **training)
    print(run)  # still a path: everything is in this folder

    # The score, as a whole, by class, and by image; `.to_pandas()` makes frames of it.
    result = run.result
    print(f"mIoU {100 * result.miou:.1f} % on {result.images} images")
    for entry in result.per_class:
        print(f"  {entry.name}: IoU {100 * entry.iou:.1f} %")
    worst = min(result.per_image, key=lambda image: image.miou)
    print(f"worst image: {worst.id}")

    # How it went: steps, learning rates, evaluations.
    print(run.log)
    print(f"the report is {run.report}")

    # Predict. A file gives one prediction, a folder gives them one by one, so that any number fits into memory.
    dataset = pixelwise.open_dataset(run.recipe.data, photos)
    split = run.recipe.evaluation.split
    files = [sample.image_path for sample in dataset.samples(split)]
    for prediction in run.predict(files[:3]):
        print(prediction)
        prediction.save(output / "predictions")  # the mask as .png, the overlay as .jpg

    # Masks are arrays; objects are polygons, whose areas are pixels.
    prediction = run.predict(files[0])
    print(prediction.labels.shape, prediction.areas())
    for name, polygons in prediction.polygons(tolerance=1).items():
        print(f"  {name}: {len(polygons)} objects")
    return run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--output", type=Path, default=Path("from-python"))
    parser.add_argument("--minutes", type=float, default=20)
    given = parser.parse_args()
    main(given.photos, given.output, minutes=given.minutes)
