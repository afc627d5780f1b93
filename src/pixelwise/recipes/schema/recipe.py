"""Recipe: everything that decides what a run computes, as frozen data.

All sizes are (height, width). A recipe is plain data: it can be listed, compared, hashed, written
as TOML and read back without importing torch. Its parts are in the modules `*_parts` and are imported
from here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from pixelwise.recipes.classes.tables import CLASS_SETS, IGNORE
from pixelwise.recipes.schema.augment import Augment
from pixelwise.recipes.schema.base import Part, Range, require
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.evaluation import Evaluation, Original, Published
from pixelwise.recipes.schema.loss import ClassWeights, Loss, Ohem
from pixelwise.recipes.schema.model import SPECS, Spec
from pixelwise.recipes.schema.roles import Role, paths_with, role, without
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

__all__ = [
    "Augment",
    "Checkpoints",
    "ClassWeights",
    "Data",
    "Ema",
    "Evaluation",
    "Group",
    "Initialize",
    "Loss",
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
        name: Unique name; for a published row the id in the published table.
        summary: One line.
        quantization: Trained with 8-bit weights and activations: `edgeai-8bit` (TI's: symmetric, per tensor,
            power-of-two scales), `x86-8bit` or `xnnpack-8bit` (per-channel weights, zero points); begin with a float
            result, as a stage or with `--from RUN`.
        stages: What is trained before, in this order.
        notes: Deviations and remarks.
    """

    name: Annotated[str, role(Role.NAME)]
    summary: Annotated[str, role(Role.TEXT)] = ""
    model: Spec
    data: Data = Data()
    augment: Augment = Augment()
    loss: Loss = Loss()
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
    published: Annotated[Published | None, role(Role.CLAIM)] = None
    notes: Annotated[str, role(Role.TEXT)] = ""

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        require(
            len(set(names)) == len(names),
            f"stages: the names are {', '.join(names)}; expected different ones",
            "each stage has a folder of its own",
        )
        self._require_registered_family()
        self.model.check(self)
        if self.data.multilabel:
            self._require_binary_terms()
        bands, normalised = self.data.bands, self.model.preprocessing.in_channels
        # Three are what every recipe begins with: for other bands they are measured when the data is opened.
        require(
            normalised in (bands, 3),
            f"{'images are read as RGB' if self.data.channels is None else f'data.channels takes {bands} bands'}, "
            f"model.preprocessing is for {normalised}",
            "name as many bands in data.channels as model.preprocessing has values; left out, they are measured",
        )
        require(
            bands == 3 or self.augment.photometric == "none",
            f"augment.photometric is {self.augment.photometric}, which turns hues of RGB; the network gets {bands} "
            f"channel{'s' if bands > 1 else ''}",
            "set augment.photometric=none; brightness, contrast and channel_gain work for any channels",
        )
        if self.data.label_map is not None and self.data.classes is not None:
            for raw, class_id in self.data.label_map.items():
                require(
                    raw.lstrip("-").isdigit() and (class_id == IGNORE or 0 <= class_id < len(self.data.classes)),
                    f"data.label_map maps '{raw}' to {class_id}; expected a number to "
                    f"0..{len(self.data.classes) - 1} or {IGNORE}",
                    "map every raw value to a class id, or to 255 to ignore it",
                )

    def _require_registered_family(self) -> None:
        """Without its family's name the recipe could be written to a file, and not be read again."""
        spec = type(self.model)
        require(
            SPECS.get(self.model.family) is spec,
            f"model is a {spec.__module__}.{spec.__qualname__}, which is not registered as a model family",
            "decorate its class with pixelwise.recipes.schema.model.register_spec, and give it a tag of its own",
        )

    def _require_binary_terms(self) -> None:
        """What has no meaning where a pixel may belong to several classes."""
        self.loss.require_labels(multilabel=True)
        loss, augment = self.loss, self.augment
        named = isinstance(loss.class_weights, str) and loss.class_weights not in ("none", "inverse-sqrt")
        cases = (
            (loss.ohem is not None, "loss.ohem", "loss.ohem=null; loss.focal is a milder kind of mining"),
            (named, f"loss.class_weights={loss.class_weights}", "loss.class_weights=inverse-sqrt, none or a list"),
            (augment.mix == "classmix", "augment.mix=classmix", "augment.mix=cutmix or none"),
            (augment.max_class_share is not None, "augment.max_class_share", "augment.max_class_share=null"),
            (augment.rotate_label != IGNORE, "augment.rotate_label", f"augment.rotate_label={IGNORE}"),
        )
        for wrong, name, instead in cases:
            require(
                not wrong,
                f"{name} needs pixels of exactly one class, but the data is multi-label (data.multilabel)",
                f"set {instead}",
            )

    def hash(self) -> str:
        """SHA-256, hexadecimal, of the canonical JSON form of what decides the result.

        Left out are texts, what was published, data loading, checkpoints, colours of overlays, fields that
        have their default (so a new field changes no hash), and what a run fills in about a known data set:
        training an unmodified recipe keeps its hash.
        """
        import hashlib  # 6 ms that listing recipes does not need

        return hashlib.sha256(msgspec.json.encode(_deciding(self), order="sorted")).hexdigest()


def to_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dicts, lists and scalars, without unset (None) values: what TOML holds."""
    return without_unset(msgspec.to_builtins(recipe))


def without_unset(plain: Any) -> Any:
    """Plain data without the None values of its dicts: TOML has none."""
    if isinstance(plain, dict):
        return {key: without_unset(item) for key, item in plain.items() if item is not None}
    return [without_unset(item) for item in plain] if isinstance(plain, (list, tuple)) else plain


def fields_with(*roles: Role) -> tuple[str, ...]:
    """Paths of the fields and sections of a recipe that have one of these roles, such as `data.workers`."""
    return paths_with(Recipe, *roles)


def with_fields_of(recipe: Recipe, other: Recipe, *roles: Role) -> Recipe:
    """A recipe with another one's values of the fields that have one of these roles; no section may have one."""
    for path in fields_with(*roles):
        section, _, field = path.partition(".")
        value = getattr(getattr(other, section), field)
        changed = msgspec.structs.replace(getattr(recipe, section), **{field: value})
        recipe = msgspec.structs.replace(recipe, **{section: changed})
    return recipe


def changed_values(recipe: Recipe) -> dict[str, Any]:
    """The plain recipe without what only repeats a default; each network has its family."""
    return _changed(recipe)


def _deciding(recipe: Recipe) -> dict[str, Any]:
    """The plain recipe without what changes no result or only repeats defaults or what the data set implies."""
    plain = without(_changed(recipe), fields_with(Role.TEXT, Role.CLAIM, Role.OPERATIONAL, Role.DISPLAY))
    if "initialize" in plain:
        plain["initialize"] = recipe.initialize.encoder
        # The path of a run says nothing about its weights; which recipe they come from does.
        if recipe.initialize.recipe is not None or recipe.initialize.run is not None:
            plain["initialize"] = [recipe.initialize.encoder, recipe.initialize.recipe or recipe.initialize.run]
    data = plain.setdefault("data", {})
    known = CLASS_SETS.get(recipe.data.dataset)
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
