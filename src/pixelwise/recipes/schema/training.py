"""The parts of a recipe that say how weights come about: optimizer, schedule, sampling, selection, stages."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Literal

from pixelwise.errors import RecipeError
from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.base import (
    Part,
    require,
    require_at_least,
    require_below_one,
    require_positive,
    require_share,
)
from pixelwise.recipes.schema.roles import Role, role
from pixelwise.storage.names import problem_of


class Group(Part, frozen=True, kw_only=True):
    r"""Parameters that learn or decay at another rate than the others.

    Attributes:
        pattern: Regular expression that is searched for in the names of the parameters, such as `^head\.`.
        lr: Factor on the learning rate; 0 holds the parameters fixed (not the statistics of normalisations).
        weight_decay: Theirs; None: the optimizer's. `decay_all` holds for it, too.
    """

    pattern: str
    lr: float = 1.0
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise RecipeError(
                "R203",
                f"optimizer.groups: '{self.pattern}' is no regular expression: {error}",
                r"for example ^head\. for everything in the head",
            ) from error
        require_at_least(0, f"lr of the group '{self.pattern}'", self.lr, "it is a factor, for example 10")
        require_at_least(0, f"weight_decay of the group '{self.pattern}'", self.weight_decay, "0 is off")


class Optimizer(Part, frozen=True, kw_only=True):
    """Optimizer and its settings.

    Attributes:
        kind: `sgd` (with momentum), `adam` (weight decay coupled, as L2) or `adamw` (decoupled).
        lr: Base learning rate.
        lr_batch: Images per step that `lr` is meant for: with another number it grows or shrinks in
            proportion; None: `lr` is used as it is.
        groups: Parameters with rates of their own; of several patterns that fit a name the first counts.
        layer_decay: Factor on the learning rate per block of the encoder, counted from its end: the last
            block's rate is the head's times this, the one's before times its square; 1 is off. Blocks of timm's
            networks are those that timm itself counts for this.
        momentum: For `sgd`.
        betas: For `adam` and `adamw`.
        weight_decay: Of all parameters, or of weights with two or more dimensions only, see next.
        decay_all: Whether biases, normalisation and activation slopes decay too.
        clip_norm: Largest L2 norm of the gradient; None: no clipping.
    """

    kind: Literal["sgd", "adam", "adamw"] = "adamw"
    lr: float
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    decay_all: bool = False
    clip_norm: float | None = None
    lr_batch: int | None = None
    groups: tuple[Group, ...] = ()
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        require_positive("optimizer.lr", self.lr, "for example 0.001")
        require_at_least(1, "optimizer.lr_batch", self.lr_batch, "for example 8")
        require_positive("optimizer.layer_decay", self.layer_decay, "for example 0.75; 1 is off")
        require_share("optimizer.layer_decay", self.layer_decay, "for example 0.75; 1 is off")
        if self.clip_norm is not None:
            require_positive("optimizer.clip_norm", self.clip_norm, "leave it out for no clipping")
        require_below_one("optimizer.momentum", self.momentum, "for example 0.9; 0 is off")
        require(
            all(0 <= beta < 1 for beta in self.betas),
            f"optimizer.betas is {list(self.betas)}; expected two numbers of 0 or more and less than 1",
            "for example [0.9, 0.999]",
        )
        require_at_least(0, "optimizer.weight_decay", self.weight_decay, "for example 0.0002; 0 is off")


class Schedule(Part, frozen=True, kw_only=True):
    """Length of training and the learning rate's course.

    Attributes:
        epochs: Passes over the training split; exactly one of `epochs` and `iterations` is set.
        iterations: Optimizer steps.
        kind: `constant`; `step`: times `gamma` at every milestone; `poly`: (1 - t)^power; `cosine`: half a
            cosine; t runs from 0 to 1 over what `decay_from` says; `one-cycle`: half a cosine up from
            1 / `start_divisor` over the first `rise` of all steps, another one down to 1 / (`start_divisor` x
            `end_divisor`) at the last step (Smith, arXiv:1708.07120; momentum stays).
        per: `iteration`: the rate follows its course at every step; `epoch`: it is constant within an epoch.
        milestones: For `step`, in epochs; none: every `step_epochs`.
        step_epochs: For `step`.
        gamma: For `step`.
        power: For `poly`.
        rise: For `one-cycle`.
        start_divisor: For `one-cycle`.
        end_divisor: For `one-cycle`.
        min_lr_ratio: `poly` and `cosine` end at this share of the base rate.
        min_lr: They end at this rate, whatever the factor of a group of parameters; None: at `min_lr_ratio`.
        warmup_iterations: Length of the rise at the start, in steps.
        warmup_epochs: In epochs; at most one of the two is set.
        warmup_ratio: Share of the base rate at which the rise starts.
        warmup: Its form, r from 0 to 1: `linear`: ratio + (1 - ratio) r; `proportional`: r, at least the
            ratio; `exponential`: ratio^(1 - r); `constant`: the ratio.
        decay_from: `warm-up`: t starts where the warm-up ends; `start`: t counts the steps of the
            warm-up, too, and the first step after it is the first one that decays.
    """

    epochs: Annotated[int | None, role(Role.LENGTH)] = None
    iterations: Annotated[int | None, role(Role.LENGTH)] = None
    kind: Literal["constant", "step", "poly", "cosine", "one-cycle"] = "poly"
    per: Literal["iteration", "epoch"] = "iteration"
    milestones: tuple[int, ...] = ()
    step_epochs: int = 100
    gamma: float = 0.1
    power: float = 0.9
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 10_000.0
    min_lr_ratio: float = 0.0
    min_lr: float | None = None
    warmup_iterations: int = 0
    warmup_epochs: int = 0
    warmup_ratio: float = 0.0
    warmup: Literal["linear", "proportional", "exponential", "constant"] = "linear"
    decay_from: Literal["warm-up", "start"] = "warm-up"

    def __post_init__(self) -> None:
        require(
            (self.epochs is None) != (self.iterations is None),
            f"schedule.epochs is {self.epochs} and schedule.iterations is {self.iterations}; "
            "expected exactly one of them",
            "give the length of training once, for example schedule.epochs=100",
        )
        length = self.epochs if self.epochs is not None else self.iterations
        name = "schedule.epochs" if self.epochs is not None else "schedule.iterations"
        require_at_least(1, name, length, "for example 100")
        require(
            all(later > earlier for earlier, later in itertools.pairwise((0, *self.milestones))),
            f"schedule.milestones is {list(self.milestones)}; expected growing numbers of epochs",
            "for example [100, 200]",
        )
        require_at_least(1, "schedule.step_epochs", self.step_epochs, "for example 100")
        require_positive("schedule.gamma", self.gamma, "it multiplies the learning rate, for example 0.1")
        require_positive("schedule.power", self.power, "for example 0.9")
        require_share("schedule.min_lr_ratio", self.min_lr_ratio, "it is a share of optimizer.lr")
        require_at_least(0, "schedule.min_lr", self.min_lr, "it is a learning rate, for example 0.000001")
        self._check_start()

    def _check_start(self) -> None:
        require(
            0 < self.rise < 1, f"schedule.rise is {self.rise}; expected more than 0 and less than 1", "for example 0.3"
        )
        require_at_least(1, "schedule.start_divisor", self.start_divisor, "for example 25")
        require_at_least(1, "schedule.end_divisor", self.end_divisor, "for example 10000")
        require_share("schedule.warmup_ratio", self.warmup_ratio, "it is a share of optimizer.lr")
        require_at_least(0, "schedule.warmup_iterations", self.warmup_iterations, "0 is no warm-up")
        require_at_least(0, "schedule.warmup_epochs", self.warmup_epochs, "0 is no warm-up")
        require(
            not (self.warmup_iterations and self.warmup_epochs),
            f"schedule.warmup_iterations is {self.warmup_iterations} and schedule.warmup_epochs is "
            f"{self.warmup_epochs}; expected at most one of them",
            "set the other one to 0",
        )
        require(
            self.warmup != "exponential" or self.warmup_ratio > 0,
            f"schedule.warmup is exponential and schedule.warmup_ratio is {self.warmup_ratio}; expected more than 0",
            "an exponential rise cannot start from nothing; for example 0.001",
        )
        require(
            self.kind != "one-cycle" or not (self.warmup_iterations or self.warmup_epochs),
            "schedule.kind is one-cycle, which has a rise of its own, and a warm-up is set, too",
            "leave the warm-up out; schedule.rise is the length of the rise",
        )


class Ema(Part, frozen=True, kw_only=True):
    """Exponential moving average of the weights, which is what gets evaluated and saved as result.

    Attributes:
        decay: After t steps the average keeps min(decay, (1 + t) / (10 + t)) of itself.
        ramp: If set, it keeps decay * (1 - exp(-(t - 1) / ramp)) instead: nothing at the first step (ModelTC/EOD).
    """

    decay: float = 0.999
    ramp: float | None = None

    def __post_init__(self) -> None:
        require(0 < self.decay < 1, f"ema.decay is {self.decay}; expected 0..1", "for example 0.999")
        if self.ramp is not None:
            require_positive("ema.ramp", self.ramp, "a number of steps, for example 2000")


class Precision(Part, frozen=True, kw_only=True):
    """Number formats and memory layout; none of them changes what is computed beyond rounding.

    Attributes:
        dtype: `float32`, or `bfloat16` autocast. `auto`: before the first step a few steps are timed in each format
            and layout, and the run's recipe gets the fastest; on a CPU the fastest of float32, and the log says what
            bfloat16 would save.
        channels_last: Keep activations in NHWC layout; with `dtype` `auto` it is chosen.
        compile: Compile the network with `torch.compile`, which takes minutes at the start.
        cuda_graphs: Let the compiled network be recorded as CUDA graphs and replayed, so that small networks do not
            wait for the host to launch their kernels. On GPUs only; every size of image is recorded once, so it
            belongs to recipes with `augment.crop` or `augment.resize`.
    """

    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    channels_last: bool = False
    compile: bool = False
    cuda_graphs: bool = False

    def __post_init__(self) -> None:
        require(
            self.compile or not self.cuda_graphs,
            "precision.cuda_graphs is set without precision.compile; what is recorded is the compiled network",
            "set precision.compile=true too, or leave precision.cuda_graphs off",
        )


class Sampling(Part, frozen=True, kw_only=True):
    """How batches are drawn. The order is a pure function of (seed, epoch, index).

    Attributes:
        batch_size: Images per forward pass.
        accumulate: Forward passes per optimizer step; the effective batch is the product.
        drop_last: Drop an incomplete last batch. A last batch of a single image is dropped anyway
            (and said so): batch normalisation cannot learn from it.
        seed: Of initial weights, order, augmentation and dropout.
    """

    batch_size: int
    accumulate: int = 1
    drop_last: bool = False
    seed: Annotated[int, role(Role.CHANCE)] = 0

    def __post_init__(self) -> None:
        require_at_least(1, "sampling.batch_size", self.batch_size, "for example 8")
        require_at_least(1, "sampling.accumulate", self.accumulate, "1 steps after every batch")
        require_at_least(0, "sampling.seed", self.seed, "for example 0")


class Selection(Part, frozen=True, kw_only=True):
    """Which weights are the result of the run.

    Attributes:
        weights: `best` mIoU on `split`, or the `last` ones.
        split: The split that is evaluated during training.
        every_epochs: Evaluate after every so many epochs; 0: never.
        protocol: Named protocol of these evaluations; None: the recipe's first.
        patience: Training ends early after so many evaluations in a row without an improvement; None:
            it never does.
        min_delta: Percentage points of mIoU that an evaluation has to be above the last improvement to
            be one itself. Which weights are the best does not depend on it.
    """

    weights: Literal["best", "last"] = "last"
    split: str = "val"
    every_epochs: int = 0
    protocol: str | None = None
    patience: Annotated[int | None, role(Role.LENGTH)] = None
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(0, "selection.every_epochs", self.every_epochs, "0 never evaluates during training")
        require(
            self.weights == "last" or self.every_epochs > 0,
            "selection.weights is 'best' but selection.every_epochs is 0: nothing is ever compared",
            "set selection.every_epochs=1, or selection.weights=last",
        )
        require_at_least(1, "selection.patience", self.patience, "leave it out to train to the end")
        require_at_least(0, "selection.min_delta", self.min_delta, "percentage points, for example 0.1")
        require(
            self.patience is None or self.every_epochs > 0,
            f"selection.patience is {self.patience} but selection.every_epochs is 0: nothing is ever compared",
            "set selection.every_epochs=1",
        )
        if self.protocol is not None:
            protocol(self.protocol)


class Checkpoints(Part, frozen=True, kw_only=True):
    """When the state of a run is saved. Saving changes no result.

    Attributes:
        every_minutes: Save when so many minutes have passed since the last save.
        every_steps: Save after every so many optimizer steps; None: by time only.
        keep: How many of the newest to keep, besides the best one.
    """

    every_minutes: float = 5.0
    every_steps: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        require(
            self.keep >= 2,
            f"checkpoints.keep is {self.keep}; expected 2 or more",
            "the newest one may be damaged while it is being written; keep one before it",
        )
        require_positive("checkpoints.every_minutes", self.every_minutes, "for example 5")
        require_at_least(1, "checkpoints.every_steps", self.every_steps, "none saves by time only")


class Initialize(Part, frozen=True, kw_only=True):
    """Where the weights come from before the first step.

    Attributes:
        encoder: Pretrained weights of the encoder: timm's name with its tag (`resnet50c.gluon_in1k`), or a
            model of the Hugging Face hub (`nvidia/mit-b0`); `none`: random.
        licence: Of these weights, as their publisher states it.
        original: What the authors of the published row began with, where that is something else.
        recipe: Name of the recipe whose result the whole network begins with; None: of no recipe.
        run: Folder of the run that the whole network begins with, of `recipe` where that is named.
    """

    encoder: str = "none"
    licence: str = ""
    original: str = ""
    recipe: str | None = None
    run: Annotated[str | None, role(Role.PLACE)] = None


class Stage(Part, frozen=True, kw_only=True):
    """A complete training that comes before the recipe's own; what follows begins with its result.

    Attributes:
        name: Of its run folder, `stages/NAME` in that of the recipe.
        overrides: How its recipe differs from the one it belongs to: `section.field=value`.
    """

    name: str
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(
            re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name) is not None and not problem_of(self.name),
            f"stages: the name '{self.name}' cannot be that of a folder; expected small letters, digits and hyphens",
            "for example encoder",
        )
