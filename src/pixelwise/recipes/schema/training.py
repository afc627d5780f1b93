"""The sections on training, such as optimizer, schedule, precision, sampling, selection, checkpoints and stages."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Literal

from pixelwise.errors import RecipeError
from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.adapter import Adapter
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
    r"""A group of parameters with its own learning rate or weight decay.

    Attributes:
        pattern: Regular expression that is searched for in the names of the parameters, such as `^head\.`.
        lr: Factor on the learning rate; 0 freezes the parameters (but not the statistics of normalisation layers).
        weight_decay: Weight decay of the group; None uses the optimizer's. `decay_all` applies to it as well.
        warmup_after: Steps in which the group does not learn at all; its own schedule begins after them.
        warmup_iterations: Length in steps of the group's own warm-up, which takes the place of the schedule's; None:
            the group follows the schedule.
    """

    pattern: str
    lr: float = 1.0
    weight_decay: float | None = None
    warmup_after: int = 0
    warmup_iterations: int | None = None

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise RecipeError(
                "R203",
                f"optimizer.groups: '{self.pattern}' is not a regular expression: {error}",
                r"for example ^head\. for everything in the head",
            ) from error
        require_at_least(0, f"lr of the group '{self.pattern}'", self.lr, "it is a factor, for example 10")
        require_at_least(0, f"weight_decay of the group '{self.pattern}'", self.weight_decay, "0 is off")
        name = f"of the group '{self.pattern}'"
        require_at_least(0, f"warmup_after {name}", self.warmup_after, "0 lets it learn from the first step")
        require_at_least(0, f"warmup_iterations {name}", self.warmup_iterations, "0 is no warm-up")
        require(
            not self.warmup_after or self.warmup_iterations is not None,
            f"warmup_after {name} is {self.warmup_after}, but it has no warmup_iterations",
            "set warmup_iterations too, be it 0",
        )


class Optimizer(Part, frozen=True, kw_only=True):
    """The optimizer and its settings.

    Attributes:
        kind: `sgd` (with momentum), `adam` (coupled weight decay, as L2 penalty) or `adamw` (decoupled weight decay).
        lr: Base learning rate.
        lr_batch: Images per step that `lr` refers to; for another effective batch size the rate is scaled in
            proportion. None uses `lr` unchanged.
        groups: Parameter groups with their own learning rate or weight decay; the first matching pattern counts.
        layer_decay: Factor on the learning rate per block of the encoder, counted from its end: the last block has the
            head's rate times this factor, the block before it times the square; 1 is off. Blocks of timm's networks
            are those that timm itself defines for this purpose.
        momentum: Momentum of `sgd`.
        betas: Decay rates of the moment estimates of `adam` and `adamw`.
        weight_decay: Weight decay, applied to weights with two or more dimensions, or to all parameters (`decay_all`).
        decay_all: Whether biases, normalisation parameters and activation slopes decay too.
        clip_norm: Maximum L2 norm of the gradient; None disables clipping.
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
    """Length of training and learning-rate schedule.

    Attributes:
        epochs: Passes over the training split; exactly one of `epochs` and `iterations` is set.
        iterations: Number of optimizer steps; exactly one of `epochs` and `iterations` is set.
        kind: Shape of the schedule. `constant`; `step`: multiplied by `gamma` at every milestone; `poly`:
            (1 - t)^power; `cosine`: half a cosine, where t runs from 0 to 1 from the point that `decay_from` names;
            `one-cycle`: half a cosine up from 1 / `start_divisor` over the first `rise` of all steps, another one down
            to 1 / (`start_divisor` x `end_divisor`) at the last step (Smith, arXiv:1708.07120; momentum is constant).
        per: `iteration` updates the learning rate at every step; `epoch` keeps it constant within an epoch.
        milestones: Epochs at which the rate of `step` drops; if empty, every `step_epochs`.
        step_epochs: Epochs between two drops of `step`, if `milestones` is empty.
        gamma: Factor of each drop of `step`.
        power: Exponent of `poly`.
        rise: Fraction of all steps in which `one-cycle` rises.
        start_divisor: Base rate / initial rate of `one-cycle`.
        end_divisor: Initial rate / final rate of `one-cycle`.
        min_lr_ratio: Final rate of `poly` and `cosine` as a fraction of the base rate.
        min_lr: Final rate of `poly` and `cosine`, the same for every parameter group; None uses `min_lr_ratio`.
        warmup_iterations: Length of the warm-up in steps.
        warmup_epochs: Length of the warm-up in epochs.
        warmup_share: Length of the warm-up as a fraction of all steps, rounded down to whole steps, so that it suits
            every length of training; at most one of the three lengths is set.
        warmup_ratio: Fraction of the base rate at which the warm-up starts.
        warmup: Shape of the warm-up, with r running from 0 to 1: `linear`: ratio + (1 - ratio) r; `proportional`: r,
            but at least the ratio; `exponential`: ratio^(1 - r); `constant`: the ratio.
        decay_from: Start of t in `kind`. `warm-up`: the end of the warm-up; `start`: the first step of training, so t
            also counts the warm-up's steps, and the first step after the warm-up already decays.
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
    warmup_share: float = 0.0
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
            f"schedule.milestones is {list(self.milestones)}; expected increasing epochs of 1 or more",
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
        require_below_one("schedule.warmup_share", self.warmup_share, "a fraction of all steps, for example 0.05")
        lengths = {name: getattr(self, name) for name in ("warmup_iterations", "warmup_epochs", "warmup_share")}
        given = [f"schedule.{name}" for name, value in lengths.items() if value]
        shown = " and ".join(f"{name} is {lengths[name.partition('.')[2]]}" for name in given)
        require(len(given) < 2, f"{shown}; expected at most one of them", f"set {'=0 '.join(given[1:])}=0")
        require(
            self.warmup != "exponential" or self.warmup_ratio > 0,
            f"schedule.warmup is exponential and schedule.warmup_ratio is {self.warmup_ratio}; expected more than 0",
            "an exponential warm-up cannot start from 0; for example schedule.warmup_ratio=0.001",
        )
        require(
            self.kind != "one-cycle" or not given,
            f"schedule.kind is one-cycle, which includes a warm-up, but {shown} too",
            f"set {''.join(given)}=0; schedule.rise is the length of the one-cycle's warm-up",
        )


class Ema(Part, frozen=True, kw_only=True):
    """Exponential moving average of the weights, which is evaluated and saved as the result.

    Attributes:
        decay: Decay of the average; after t steps it is min(decay, (1 + t) / (10 + t)).
        ramp: If set, the decay after t steps is decay * (1 - exp(-(t - 1) / ramp)) instead, which is 0 at the first
            step (ModelTC/EOD).
    """

    decay: float = 0.999
    ramp: float | None = None

    def __post_init__(self) -> None:
        require(0 < self.decay < 1, f"ema.decay is {self.decay}; expected 0..1", "for example 0.999")
        if self.ramp is not None:
            require_positive("ema.ramp", self.ramp, "a number of steps, for example 2000")


class Precision(Part, frozen=True, kw_only=True):
    """Data type, memory layout and compilation, which change the results only by rounding.

    Attributes:
        dtype: `float32`, `bfloat16` (autocast) or `auto`, which times a few steps in each data type and layout before
            training and writes the fastest into the run's recipe. On a CPU, `auto` chooses among the float32 layouts
            only, and the log states what bfloat16 would save.
        channels_last: Whether activations are in NHWC layout; chosen automatically if `dtype` is `auto`.
        compile: Whether to compile the network with `torch.compile`, which takes minutes at the start.
        cuda_graphs: Whether to record the compiled network as CUDA graphs and replay them, so that small networks do
            not wait for the host to launch their kernels. GPUs only; each image size is recorded once, so it suits
            recipes with `augment.crop` or `augment.resize`.
    """

    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    channels_last: bool = False
    compile: bool = False
    cuda_graphs: bool = False

    def __post_init__(self) -> None:
        require(
            self.compile or not self.cuda_graphs,
            "precision.cuda_graphs is set without precision.compile, but only a compiled network can be recorded",
            "set precision.compile=true too, or leave precision.cuda_graphs off",
        )


class Sampling(Part, frozen=True, kw_only=True):
    """How batches are drawn. The order is a pure function of (seed, epoch, index).

    Attributes:
        batch_size: Images per forward pass.
        accumulate: Forward passes per optimizer step; the effective batch size is the product of the two.
        drop_last: Whether to drop an incomplete last batch. A last batch of a single image is always dropped (with a
            message), because batch normalisation cannot be trained with it.
        seed: Seed of initial weights, order, augmentation and dropout.
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
    """Selection of the weights that are the result of the run, and early stopping.

    Attributes:
        weights: `best` selects the weights with the highest mIoU on `split`, `last` those of the last step.
        split: Split to evaluate during training.
        every_epochs: Epochs between two evaluations; 0 disables them.
        protocol: Name of the protocol of these evaluations; None uses the recipe's first.
        patience: Number of successive evaluations without an improvement after which training stops early; None
            disables early stopping.
        min_delta: Minimum gain over the last improvement, in percentage points of mIoU, for an evaluation to count as
            an improvement. It does not affect which weights are the best.
        statistics_images: Number of training images, without augmentation, from which the statistics of batch
            normalisation are computed anew for the weights that are evaluated, and for the last ones (Wu and Johnson
            2021, arXiv:2105.07576); 0 keeps the averages over the latest batches of the training.
    """

    weights: Literal["best", "last"] = "last"
    split: str = "val"
    every_epochs: int = 0
    protocol: str | None = None
    patience: Annotated[int | None, role(Role.LENGTH)] = None
    min_delta: float = 0.0
    statistics_images: int = 0

    def __post_init__(self) -> None:
        require_at_least(0, "selection.every_epochs", self.every_epochs, "0 never evaluates during training")
        require(
            self.weights == "last" or self.every_epochs > 0,
            "selection.weights is 'best' but selection.every_epochs is 0, so there are no evaluations to compare",
            "set selection.every_epochs=1, or selection.weights=last",
        )
        require_at_least(1, "selection.patience", self.patience, "leave it out to train to the end")
        require_at_least(0, "selection.min_delta", self.min_delta, "percentage points, for example 0.1")
        require_at_least(0, "selection.statistics_images", self.statistics_images, "0 keeps the running averages")
        require(
            self.patience is None or self.every_epochs > 0,
            f"selection.patience is {self.patience} but selection.every_epochs is 0, so there are no evaluations",
            "set selection.every_epochs=1, or leave out selection.patience",
        )
        if self.protocol is not None:
            protocol(self.protocol)


class Checkpoints(Part, frozen=True, kw_only=True):
    """Saving of checkpoints, which does not affect the result.

    Attributes:
        every_minutes: Minutes between two checkpoints.
        every_steps: Optimizer steps between two checkpoints; None saves by time only.
        keep: Number of latest checkpoints to keep, in addition to the best one.
    """

    every_minutes: float = 5.0
    every_steps: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        require(
            self.keep >= 2,
            f"checkpoints.keep is {self.keep}; expected 2 or more",
            "the latest checkpoint may be damaged while it is being written, so keep the one before it too",
        )
        require_positive("checkpoints.every_minutes", self.every_minutes, "for example 5")
        require_at_least(1, "checkpoints.every_steps", self.every_steps, "none saves by time only")


class Initialize(Part, frozen=True, kw_only=True):
    """Initial weights of the network.

    Attributes:
        encoder: Pretrained weights of the encoder: timm's name with its tag (`resnet50c.gluon_in1k`), a model of the
            Hugging Face hub (`nvidia/mit-b0`), or the path of a weights file, of a folder with one or of a run;
            `default`, the best ones that this machine can get; `none` initialises randomly.
        sha256: SHA-256 of the file that `encoder` names; a run fills it in, and other files are then refused.
        licence: Licence of these weights as stated by their publisher.
        original: Initial weights of the published row's authors, if they differ.
        recipe: Name of the recipe whose result initialises the whole network; None if there is none.
        run: Folder of the run whose weights initialise the whole network; a run of `recipe`, if that is set.
        freeze: Whether the encoder stays as it begins: its weights are not trained, its normalisation layers keep their
            statistics, and it drops nothing. Layers that have no pretrained weights are trained like the head.
        adapter: Low-rank adapters of the encoder, which is otherwise kept as if `freeze` were set.
    """

    encoder: str = "none"
    sha256: str | None = None
    licence: str = ""
    original: str = ""
    recipe: str | None = None
    run: Annotated[str | None, role(Role.PLACE)] = None
    freeze: bool = False
    adapter: Adapter = Adapter()

    @property
    def keeps_encoder(self) -> bool:
        """Whether the encoder's own weights stay as they begin."""
        return self.freeze or self.adapter.rank > 0


class Stage(Part, frozen=True, kw_only=True):
    """A complete training that precedes the recipe's own and initialises the next one with its result.

    Attributes:
        name: Name of the stage's run folder, `stages/NAME` in the recipe's run folder.
        overrides: Changes that turn the recipe into the stage's own, of the form `section.field=value`.
    """

    name: str
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(
            re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name) is not None and not problem_of(self.name),
            f"stages: '{self.name}' is not a valid folder name; expected lower-case letters, digits and hyphens",
            "for example encoder",
        )
