"""A cross-validation by hand, for tests."""

from __future__ import annotations

from pixelwise.records.folds.mistakes import LabelMistake
from pixelwise.records.folds.summary import ClassScore, FoldScore, JointScore, Summary

MISTAKE = LabelMistake(
    rank=1,
    image="a<b",
    labelled="car",
    predicted="road",
    pixels=99,
    confidence=0.9,
    of_label=0.01,
    score=3.0,
    x=1,
    y=2,
    width=3,
    height=4,
    mask_file="/data/masks/a<b.png",
    crop="crops/0001.jpg",
)
SCORE = JointScore(
    protocol="native",
    images=10,
    miou=0.5,
    miou_interval=(0.4, 0.6),
    pixel_accuracy=0.8,
    per_class=(
        ClassScore(name="road", iou=0.7, accuracy=0.8, precision=0.9, pixels=11),
        ClassScore(name="car", iou=None, accuracy=None, precision=None, pixels=0),
    ),
    folds=(
        FoldScore(name="fold-0", images=5, miou=0.45, pixel_accuracy=0.7),
        FoldScore(name="fold-1", images=5, miou=0.55, pixel_accuracy=0.9),
    ),
    mean=0.5,
    std=0.0707,
    interval=(0.1, 0.9),
)
FOUND = Summary(
    folder="runs/x",
    name="unet",
    data="photos",
    folds=2,
    images=10,
    scores=(SCORE,),
    regions=7,
    images_with_mistakes=3,
    mistakes=(MISTAKE,),
    remarks=("1 image could not be read and belongs to no fold.",),
)
