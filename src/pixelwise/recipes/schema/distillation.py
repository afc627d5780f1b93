"""The `distillation` section: what a network learns from others that are trained already."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pixelwise.recipes.schema.base import Part, require, require_at_least, require_positive
from pixelwise.recipes.schema.roles import Role, role

Match = Literal["logits", "channels", "dist", "features"]
"""Ways of comparing a network with its teachers."""
TEMPERATURES = {"logits": 1.0, "channels": 4.0, "dist": 1.0, "features": 1.0}
"""Temperature of each way of matching if the recipe names none: what its authors use for segmentation."""


class Distillation(Part, frozen=True, kw_only=True):
    """Learning from teachers: trained networks, which see the images as the network sees them.

    The teacher's part is added to the loss of the main head. It counts every pixel, whether labelled, ignored or filled
    in around an image, because the teacher has an answer for all of them.

    Attributes:
        teacher: Run folder of the teacher, whose result (its best or last weights, averaged if the run kept an average)
            is used; or several, whose probabilities are averaged. With `match=features` also an encoder by itself,
            which has no classes: a name of timm with its tag or without, a weights file, see `teacher_encoder`, or a
            package with weights. None: nothing is learned from a teacher.
        teacher_encoder: Name of the encoder to which the teachers belong that are weights files; those of timm and of
            packages say it themselves.
        teacher_sha256: SHA-256 of each teacher's weights; a run fills them in, and other weights are then refused.
        match: What is compared. `logits`: the class probabilities of every pixel, by the Kullback-Leibler divergence
            (arXiv:1503.02531); of every class by itself for multi-label data. `channels`: where in the image each class
            is likely, by the divergence of softmaxes over the pixels (CWD, arXiv:2011.13256). `dist`: the correlation
            of the probabilities between and within classes, which the network can reach with a scale of its own (DIST,
            arXiv:2205.10536). The teacher has the same classes, in any order. `features`: feature maps of the encoders,
            after a linear map (a 1x1 convolution) that is learned beside the network and is no part of it (FitNets,
            arXiv:1412.6550); classes do not matter.
        temperature: Divisor of the logits of both networks before the softmax; the loss is multiplied by its square,
            so that gradients keep their scale. None: 1 for `logits` and `dist`, 4 for `channels`. `features` has none.
        weight: Weight of the teacher's part of the loss.
        between: Weight, within `dist`, of the correlation over the classes of a pixel, of which there have to be three.
        within: Weight, within `dist`, of the correlation over the pixels of a class.
        stage: Feature map of the network's encoder that `features` compares, from fine to coarse: 0 is the finest, -1
            the coarsest. The teacher's map is resized to it.
        teacher_stage: Feature map of each teacher's encoder that it is compared with.
        with_labels: Whether the labels teach, too. If not, the loss has the teacher's part only, images without any
            label teach as well, and auxiliary heads are not trained.
        unlabelled: Whether images of the training split that have no mask teach, too: of these, the network learns what
            its teachers say. If not, an image without a mask is an error of the data (D220).
        unlabelled_images: Number of these images, which a run fills in.
        views: What the teacher sees. `image`: the image; `flip`: also its mirror image, and the two probabilities are
            averaged, which takes it twice the time.
        cache_views: Number N of views of each training image about which the teachers are asked once, before the first
            step; the disk keeps their answers in float16. View v is the image as `augment` and `sampling.seed` draw it
            for epoch v, and epoch e trains on view e mod N, so that augmentations recur every N epochs. 0 keeps none:
            every epoch draws its own, and the teachers look at them.
    """

    teacher: Annotated[str | tuple[str, ...] | None, role(Role.MOVABLE)] = None
    teacher_encoder: str | None = None
    teacher_sha256: tuple[str, ...] = ()
    match: Match = "logits"
    temperature: float | None = None
    weight: float = 1.0
    between: float = 1.0
    within: float = 1.0
    stage: int = -1
    teacher_stage: int = -1
    with_labels: bool = True
    unlabelled: bool = True
    unlabelled_images: Annotated[int, role(Role.FROM_DATA)] = 0
    views: Literal["image", "flip"] = "image"
    cache_views: int = 0

    def __post_init__(self) -> None:
        teachers = self.teachers
        require(
            all(one.strip() for one in teachers) and self.teacher != (),
            "distillation.teacher names no folder",
            "name a run, for example distillation.teacher=runs/unet-1, or none",
        )
        require(
            self.teacher is not None or not self._changed(),
            f"distillation.{', distillation.'.join(self._changed())} is set, but there is no distillation.teacher",
            "name a run, for example distillation.teacher=runs/unet-1",
        )
        require(
            len(self.teacher_sha256) in (0, len(teachers))
            and all(re.fullmatch("[0-9a-f]{64}", one) for one in self.teacher_sha256),
            f"distillation.teacher_sha256 is {list(self.teacher_sha256)}; expected 64 hexadecimal digits for each of "
            f"{len(teachers)} teachers",
            "leave it out; a run fills it in",
        )
        if self.temperature is not None:
            require_positive("distillation.temperature", self.temperature, "for example 4")
        require_positive("distillation.weight", self.weight, "distillation.teacher=none learns from no teacher")
        require_at_least(
            0, "distillation.cache_views", self.cache_views, "a number of views, for example 8; 0 keeps none"
        )
        require_at_least(0, "distillation.unlabelled_images", self.unlabelled_images, "leave it out; a run fills it in")
        require_at_least(0, "distillation.between", self.between, "it is a weight; 0 is off")
        require_at_least(0, "distillation.within", self.within, "it is a weight; 0 is off")
        require(
            self.match == "dist" or self.between == self.within == 1,
            f"distillation.between and distillation.within belong to distillation.match=dist; it is {self.match}",
            "leave them out, or set distillation.match=dist",
        )
        self._require_feature_settings()
        require(
            self.between + self.within > 0,
            "distillation.between and distillation.within are 0; expected a weight above 0 for one of them",
            "for example distillation.within=1",
        )

    def _require_feature_settings(self) -> None:
        """Refuse settings of `features` for what compares classes, and the other way round."""
        by_features = self.match == "features"
        require(
            not by_features or self.temperature is None,
            f"distillation.temperature is {self.temperature}, but distillation.match=features compares no "
            "probabilities",
            "leave the temperature out; distillation.weight is the weight of the teacher's part",
        )
        given = [name for name in ("stage", "teacher_stage", "teacher_encoder") if name in self._changed()]
        require(
            by_features or not given,
            f"distillation.{' and distillation.'.join(given)} belongs to distillation.match=features; it is "
            f"{self.match}",
            "leave it out, or set distillation.match=features",
        )

    @property
    def teachers(self) -> tuple[str, ...]:
        """The run folders of the teachers, or the names of encoders, in order; empty without any."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher or ()

    @property
    def takes_unlabelled(self) -> bool:
        """Whether images without a mask teach, too."""
        return self.unlabelled and self.teacher is not None

    @property
    def used_temperature(self) -> float:
        """The temperature, above 0: that of the recipe or the default of `match`."""
        return TEMPERATURES[self.match] if self.temperature is None else self.temperature

    @property
    def learns_classes(self) -> bool:
        """Whether the labels or the teachers say what classes are where; if not, only an encoder is learned."""
        return self.teacher is None or self.with_labels or self.match != "features"

    def _changed(self) -> list[str]:
        usual = dict(zip(self.__struct_fields__, self.__struct_defaults__, strict=True))
        return [name for name, default in usual.items() if getattr(self, name) != default]
