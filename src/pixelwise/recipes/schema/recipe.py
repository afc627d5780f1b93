"""The recipe: everything that determines what a run computes, as frozen data.

All sizes are (height, width). A recipe is plain data: it can be listed, compared, hashed, written as TOML and read back
without importing torch. Its sections are defined in the other modules of this package and re-exported here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from pixelwise.recipes.class_sets.tables import IGNORE, class_set
from pixelwise.recipes.schema.augment import Augment
from pixelwise.recipes.schema.base import Part, Range, require
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.distillation import Distillation
from pixelwise.recipes.schema.evaluation import Evaluation, Original, Published
from pixelwise.recipes.schema.loss import ClassWeights, Loss, Ohem
from pixelwise.recipes.schema.matching import Matching
from pixelwise.recipes.schema.model import SPECS, Spec
from pixelwise.recipes.schema.planning import PLANNABLE
from pixelwise.recipes.schema.roles import Role, paths_with, role, without
from pixelwise.recipes.schema.showing import recipe_html
from pixelwise.recipes.schema.training import (
    Checkpoints,
    Ema,
    Group,
    Initialize,
    Optimizer,
    Precision,
    Sampling,
    Schedule,
    Selection,
    Stage,
)
from pixelwise.views import line

__all__ = [
    "Augment",
    "Checkpoints",
    "ClassWeights",
    "Data",
    "Distillation",
    "Ema",
    "Evaluation",
    "Group",
    "Initialize",
    "Loss",
    "Matching",
    "Ohem",
    "Optimizer",
    "Original",
    "Part",
    "Precision",
    "Published",
    "Range",
    "Recipe",
    "Role",
    "Sampling",
    "Schedule",
    "Selection",
    "Stage",
    "changed_values",
    "fields_with",
    "to_plain",
    "with_fields_of",
    "without_unset",
]


class Recipe(Part, frozen=True, kw_only=True):
    """A complete, resolved description of one run.

    Attributes:
        name: Unique name; for a published row, the id in the published table.
        summary: One-line description.
        quantization: Scheme of quantization-aware training with int8 weights and activations: `edgeai-8bit` (TI's:
            symmetric, per tensor, power-of-two scales), `x86-8bit` or `xnnpack-8bit` (per-channel weights, zero
            points). Begin with a float result: a stage, or the weights of another run.
        stages: Trainings that precede this one, in order.
        planned: Fields that a run chooses from its data, its machine and its time before it begins, such as
            `augment.crop`; it writes what it chose into its own recipe, in which nothing is planned any more. A field
            that is set is not planned.
        notes: Deviations from the source and other remarks.
    """

    name: Annotated[str, role(Role.NAME)]
    summary: Annotated[str, role(Role.TEXT)] = ""
    model: Spec
    data: Data = Data()
    augment: Augment = Augment()
    loss: Loss = Loss()
    distillation: Distillation = Distillation()
    optimizer: Optimizer
    schedule: Schedule
    sampling: Sampling
    ema: Ema | None = None
    precision: Precision = Precision()
    initialize: Annotated[Initialize, role(Role.START)] = Initialize()
    selection: Selection = Selection()
    checkpoints: Annotated[Checkpoints, role(Role.OPERATIONAL)] = Checkpoints()
    evaluation: Evaluation = Evaluation()
    quantization: Literal["none", "edgeai-8bit", "x86-8bit", "xnnpack-8bit"] = "none"
    stages: tuple[Stage, ...] = ()
    planned: tuple[str, ...] = ()
    published: Annotated[Published | None, role(Role.CLAIM)] = None
    notes: Annotated[str, role(Role.TEXT)] = ""

    def __repr__(self) -> str:
        encoder = getattr(self.model, "encoder", None)
        network = f"{self.model.family} on {encoder}" if encoder else self.model.family
        planned = f"{len(self.planned)} fields planned from the data" if self.planned else ""
        return line("Recipe", self.name, network, planned)

    def _repr_html_(self) -> str:
        return recipe_html(self.name, self.summary, changed_values(self))

    def __post_init__(self) -> None:
        self._require_names()
        self._require_registered_family()
        own = [group.pattern for group in self.optimizer.groups if group.warmup_iterations is not None]
        require(
            not own or (self.schedule.per == "iteration" and self.schedule.kind in ("constant", "poly", "cosine")),
            f"optimizer.groups: '{''.join(own[:1])}' has a warm-up of its own, for which schedule.kind is "
            f"{self.schedule.kind} per {self.schedule.per}; expected constant, poly or cosine per iteration",
            "leave out warmup_iterations of the group, or set schedule.kind=poly schedule.per=iteration",
        )
        self.model.check(self)
        self.loss.require_boundary_head(self.model.family, available=self.model.boundary_head)
        self._require_what_masks_allow()
        self._require_trainable_weights()
        if self.data.multilabel:
            self._require_binary_terms()
        if self.data.cache_features:
            self._require_lasting_features()
        self._require_lasting_answers()
        if self.distillation.match == "features":
            self._require_learning_encoder()
        bands, normalised = self.data.bands, self.model.preprocessing.in_channels
        # Every recipe begins with three values; for other bands they are measured when the data is opened.
        require(
            normalised in (bands, 3),
            f"{'images are read as RGB' if self.data.channels is None else f'data.channels takes {bands} bands'}, "
            f"model.preprocessing is for {normalised}",
            "give data.channels and model.preprocessing the same length; left out, the latter is measured",
        )
        require(
            bands == 3 or self.augment.photometric == "none",
            f"augment.photometric is {self.augment.photometric}, which needs RGB; the network receives {bands} "
            f"channel{'s' if bands > 1 else ''}",
            "set augment.photometric=none; brightness, contrast and channel_gain work for any channels",
        )
        if self.data.label_map is not None and self.data.classes is not None:
            for raw, class_id in self.data.label_map.items():
                require(
                    class_id == IGNORE or 0 <= class_id < len(self.data.classes),
                    f"data.label_map maps '{raw}' to {class_id}; expected a number to "
                    f"0..{len(self.data.classes) - 1} or {IGNORE}",
                    "map every raw value to a class id, or to 255 to ignore it",
                )

    def _require_names(self) -> None:
        """Refuse stages of the same name, and planned fields that nobody plans."""
        names = [stage.name for stage in self.stages]
        require(
            len(set(names)) == len(names),
            f"stages: the names are {', '.join(names)}; expected unique names",
            "rename the stages, because each one has a folder of its own",
        )
        unknown = [one for one in self.planned if one not in PLANNABLE]
        require(
            not unknown,
            f"planned names {', '.join(unknown)}; expected fields among {', '.join(PLANNABLE)}",
            "set a value for every other field",
        )

    def _require_what_masks_allow(self) -> None:
        """Give mask classification its loss, and refuse that loss and what goes without it in the wrong place."""
        family, masks = self.model.family, self.model.mask_classification
        if masks and self.loss.matching is None:
            msgspec.structs.force_setattr(self, "loss", msgspec.structs.replace(self.loss, matching=Matching()))
        self.loss.require_mask_classification(family, available=masks)
        require(
            not self.distillation.teachers or not masks or self.distillation.match == "features",
            f"distillation.match={self.distillation.match} compares classes per pixel, but {family} is trained by its "
            "masks",
            "leave out distillation.teacher, set distillation.match=features, or train another network, for example "
            "model.family=unet",
        )
        require(
            self.quantization == "none" or not masks,
            f"quantization is {self.quantization}, which {family} cannot be trained with",
            "set quantization=none; an exported network can be quantized",
        )

    def _require_trainable_weights(self) -> None:
        """Refuse training for int8 of weights that adapters keep."""
        require(
            self.initialize.adapter.rank == 0 or self.quantization == "none",
            f"quantization is {self.quantization}, which trains the weights that initialize.adapter keeps",
            "set quantization=none; a run that begins with the result (initialize.run=RUN) can be trained with it",
        )

    def _require_registered_family(self) -> None:
        """Refuse an unregistered family: the recipe could be written to a file but not read back."""
        spec = type(self.model)
        require(
            SPECS.get(self.model.family) is spec,
            f"model is a {spec.__module__}.{spec.__qualname__}, which is not registered as a model family",
            "decorate the class with pixelwise.recipes.schema.model.register_spec and give it a tag of its own",
        )

    def _require_lasting_features(self) -> None:
        """Refuse settings under which the features of an image do not stay as they are."""
        off = "data.cache_features=0"
        adapter = self.initialize.adapter
        require(
            adapter.rank == 0,
            "data.cache_features keeps features, but adapters of the encoder change them in every step; "
            f"initialize.adapter.rank is {adapter.rank}",
            f"set initialize.adapter.rank=0, or {off}",
        )
        require(
            self.initialize.freeze,
            f"data.cache_features is {self.data.cache_features}, but training the encoder changes its features",
            f"set initialize.freeze=true, or {off}",
        )
        cases = (
            (self.augment.mix != "none", f"augment.mix={self.augment.mix} mixes the images of a batch", "augment.mix"),
            (self.quantization != "none", f"quantization={self.quantization} trains the encoder", "quantization"),
        )
        for wrong, why, field in cases:
            require(
                not wrong,
                f"data.cache_features keeps the features of single images; {why}",
                f"set {field}=none, or {off}",
            )
        require(
            not self.precision.compile,
            "data.cache_features trains the head alone, but precision.compile compiles the whole network",
            f"set precision.compile=false precision.cuda_graphs=false, or {off}",
        )
        require(
            not self.distillation.teachers,
            "data.cache_features trains the head without the images, but a teacher (distillation.teacher) needs them",
            f"set distillation.teacher=none, or {off}",
        )

    def _require_lasting_answers(self) -> None:
        """Refuse settings under which what a teacher says of an image does not stay as it is."""
        mix = self.augment.mix
        require(
            not self.distillation.cache_views or mix == "none",
            f"distillation.cache_views keeps what teachers say of single images; augment.mix={mix} mixes those of a "
            "batch",
            "set augment.mix=none, or distillation.cache_views=0",
        )

    def _require_learning_encoder(self) -> None:
        """Refuse settings under which features teach nothing, or are not there to be compared."""
        cases = (
            (self.initialize.freeze, "initialize.freeze=true keeps it as it begins", "initialize.freeze=false"),
            (
                self.quantization != "none",
                f"quantization={self.quantization} trains a graph in which it is no longer by itself",
                "quantization=none; a run that begins with the result (initialize.run=RUN) can be trained with it",
            ),
            (
                self.precision.compile,
                "precision.compile compiles it into the network",
                "precision.compile=false precision.cuda_graphs=false",
            ),
        )
        for wrong, why, instead in cases:
            require(
                not wrong,
                f"distillation.match=features teaches the encoder by its feature maps; {why}",
                f"set {instead}",
            )

    @property
    def learns_classes(self) -> bool:
        """Whether the result says what classes are where: not if a random head is left as it is, see `features`."""
        return self.distillation.learns_classes or self.initialize.run is not None

    def _require_binary_terms(self) -> None:
        """Refuse settings that are undefined if a pixel can belong to several classes."""
        self.loss.require_labels(multilabel=True)
        loss, augment = self.loss, self.augment
        named = isinstance(loss.class_weights, str) and loss.class_weights not in ("none", "inverse-sqrt")
        cases = (
            (loss.ohem is not None, "loss.ohem", "loss.ohem=none; loss.focal is a milder alternative"),
            (named, f"loss.class_weights={loss.class_weights}", "loss.class_weights=inverse-sqrt, none or a list"),
            (augment.mix == "classmix", "augment.mix=classmix", "augment.mix=cutmix or none"),
            (augment.max_class_share is not None, "augment.max_class_share", "augment.max_class_share=none"),
            (self.distillation.match == "dist", "distillation.match=dist", "distillation.match=logits or channels"),
            (augment.rotate_label != IGNORE, "augment.rotate_label", f"augment.rotate_label={IGNORE}"),
        )
        for wrong, name, instead in cases:
            require(
                not wrong,
                f"{name} needs pixels of exactly one class, but the data is multi-label (data.multilabel)",
                f"set {instead}",
            )

    def hash(self) -> str:
        """Hexadecimal SHA-256 of the canonical JSON of everything that determines the result.

        It excludes texts, the published result, data loading, checkpoints, overlay colours, fields at their defaults
        (so a new field does not change any hash), and the facts about a known data set that a run fills in, so that
        training an unmodified recipe keeps its hash.
        """
        import hashlib  # takes 6 ms, which listing recipes can save

        return hashlib.sha256(msgspec.json.encode(_deciding(self), order="sorted")).hexdigest()


def to_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dicts, lists and scalars without unset (None) values, as in TOML."""
    return without_unset(msgspec.to_builtins(recipe))


def without_unset(plain: Any) -> Any:
    """Plain data without the None values of its dicts, which TOML cannot represent."""
    if isinstance(plain, dict):
        return {key: without_unset(item) for key, item in plain.items() if item is not None}
    return [without_unset(item) for item in plain] if isinstance(plain, (list, tuple)) else plain


def fields_with(*roles: Role) -> tuple[str, ...]:
    """Paths of the fields and sections of a recipe that have at least one of these roles, such as `data.workers`."""
    return paths_with(Recipe, *roles)


def with_fields_of(recipe: Recipe, other: Recipe, *roles: Role) -> Recipe:
    """A recipe with another recipe's values in the fields that have these roles; no section may have one of them."""
    for path in fields_with(*roles):
        section, _, field = path.partition(".")
        value = getattr(getattr(other, section), field)
        changed = msgspec.structs.replace(getattr(recipe, section), **{field: value})
        recipe = msgspec.structs.replace(recipe, **{section: changed})
    return recipe


def changed_values(recipe: Recipe) -> dict[str, Any]:
    """The plain recipe without values that equal their defaults; the family of the network is always included."""
    return _changed(recipe)


def _deciding(recipe: Recipe) -> dict[str, Any]:
    """The plain recipe without values that do not affect the result, are defaults or follow from the data set."""
    plain = without(_changed(recipe), fields_with(Role.TEXT, Role.CLAIM, Role.OPERATIONAL, Role.DISPLAY))
    if "initialize" in plain:
        start = recipe.initialize
        # A file is identified by its content, wherever it lies.
        plain["initialize"] = encoder = start.encoder if start.sha256 is None else f"sha256:{start.sha256}"
        # The path of a run does not identify its weights, but their recipe does.
        if start.recipe is not None or start.run is not None:
            plain["initialize"] = [encoder, start.recipe or start.run]
        if start.freeze:
            plain["freeze"] = True
        if start.adapter.rank:
            plain["adapter"] = [start.adapter.rank, start.adapter.scale, start.adapter.layers]
    if recipe.distillation.teacher_sha256:
        # The same weights teach the same, wherever they lie.
        del plain["distillation"]["teacher"]
    data = plain.setdefault("data", {})
    known = class_set(recipe.data.dataset)
    if known is None:
        return plain
    implied = {
        "classes": list(known.names),
        "label_map": {str(raw): class_id for raw, class_id in known.label_table.items()},
        "colors": known.color_table(),
    }
    plain["data"] = {field: value for field, value in data.items() if implied.get(field) != value}
    return plain


def _changed(part: msgspec.Struct) -> dict[str, Any]:
    plain = {}
    for field in msgspec.structs.fields(part):
        value = getattr(part, field.name)
        if value != field.default:
            if isinstance(value, msgspec.Struct):
                plain[field.name] = _changed(value)
            elif isinstance(value, tuple):
                items = [_changed(item) if isinstance(item, msgspec.Struct) else item for item in value]
                plain[field.name] = items
            elif isinstance(value, dict) and all(isinstance(item, msgspec.Struct) for item in value.values()):
                plain[field.name] = {name: _changed(item) for name, item in value.items()}
            else:
                plain[field.name] = msgspec.to_builtins(value)
    if part.__struct_config__.tag is not None:
        plain["family"] = part.__struct_config__.tag
    return plain
