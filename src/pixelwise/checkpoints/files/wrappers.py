"""Named tensors out of what training scripts save around them: nested dicts, running averages, lists and prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from pixelwise.checkpoints.files.inert import Inert
from pixelwise.checkpoints.files.settling import as_tensor
from pixelwise.errors import CheckpointError
from pixelwise.storage.names import some

WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "net_state_dict", "weights",
    "segmentor", "student", "student_state_dict", "params", "state", "shadow", "checkpoint", "ckpt", "target",
)  # fmt: skip
"""Keys under which training scripts save the weights, beside other state."""

AVERAGES = (
    "ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "ema", "ema_params", "params_ema", "ema_weights",
    "model_ema_state_dict", "ema_net", "ema_network", "averaged_model", "average_model", "swa_state_dict", "swa_model",
    "teacher", "teacher_state_dict",
)  # fmt: skip
"""Keys under which training scripts save a running average of the weights, which is what they evaluate."""

BESIDE = re.compile(
    r"optim\w*|opt|.*optimizer\w*|.*schedulers?(_states?)?|.*scaler\w*|scaling_state|amp|callbacks|loops|meta|args|"
    r"config|cfg|hyper_?parameters|hparams|history|message_hub|rng\w*|random\w*|native_amp_scaling_state|"
    r"MixedPrecision\w*|"
    r"metrics?|scores?|results?|logs?"
)
"""Keys of other state of a training, in which no weights are looked for."""

AVERAGE_COUNTERS = ("n_averaged", "steps", "num_updates", "decay", "updates", "initted", "step")
"""Keys of the counters that averaging classes save beside the weights."""

INNER = re.compile(
    r"(^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|_ddp_module|_dp_module|"
    r"_original_module)\."
)
"""Parts of keys that wrappers of modules add anywhere; no network uses them for its own layers."""

OUTER = (
    *WRAPPERS, *AVERAGES, "_model", "_net", "_network", "model_s", "base_model", "core", "wrapped", "generator", "G",
    "task_model", "main_model", "learner", "trainer", "lit_model", "torch_model", "online", "online_network",
)  # fmt: skip
"""First parts of keys that the attributes of wrapping classes add; some networks use one of them themselves."""

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Last parts of the keys of statistics, which some averages leave out."""

COUNTS = re.compile(r"(?:.*\.)?(?:total_ops|total_params)")
"""Keys that counters of operations leave in every module."""

TRAINING = re.compile(
    r"(?:criteri(?:on|a)|loss(?:es|_fn|_func|_function|_module|_weights?)?|(?:\w+_)?metrics?|(?:train|val|valid|test)_\w+)\..*"
)
"""Keys of losses and scores that a training keeps beside its network."""

_SEVERAL = 1 / 3
"""Share of the tensors that have to lie below a known first part for it to be taken away."""
_DEPTH = 6


class Found(NamedTuple):
    """Weights within the content of a file.

    Attributes:
        tensors: Tensors by their keys.
        notes: Where they were found, what was chosen and what was left out.
        left: Keys of entries that were left out.
    """

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    left: tuple[str, ...] = ()


def find_weights(content: Any, *, averages: bool = True) -> Found:
    """The named tensors in the content of a file or in a nested state dict.

    A running average is preferred to the raw weights if it has all of them, except the statistics of normalisations,
    which are then taken from the raw ones.

    Args:
        content: What a file holds.
        averages: Whether a running average is preferred.

    Raises:
        CheckpointError: K404, there are no named tensors; K482, tensors are stored in a form that is not read.
    """
    notes: list[str] = []
    named = _search(content, averages, notes, "")
    if not named:
        raise CheckpointError(
            "K404",
            f"there are no named tensors, but {_described(content)}; expected a dict of named tensors",
            "save model.state_dict() from the system that wrote the weights",
        )
    tensors: dict[str, Tensor] = {}
    others: list[str] = []
    unreadable: dict[str, str] = {}
    for key, value in named.items():
        if isinstance(value, Tensor):
            tensors[key] = value
        elif isinstance(value, Inert) and re.search(r"tensor|storage|_rebuild", value.name, re.IGNORECASE):
            unreadable[key] = value.name
        elif key.rpartition(".")[2] not in (*AVERAGE_COUNTERS, "_extra_state", "_metadata"):
            others.append(key)
    if unreadable:
        key, kind = next(iter(unreadable.items()))
        raise CheckpointError(
            "K482",
            f"{len(unreadable)} tensors are stored in a form that is not read: {key} ({kind})",
            "save ordinary tensors: those of quantized, sparse or distributed networks have to be converted first",
        )
    if others:
        notes.append(f"left out {len(others)} entries that are no tensors: {some(others)}")
    tensors, lost = _without_inner_parts(tensors, notes)
    return Found(tensors, tuple(notes), (*others, *lost))


def views(found: Found) -> Iterator[Found]:
    """The tensors as they are, and then without first parts of their keys, as classes around a network add them.

    Whether a first part such as `model` belongs to the network itself is known only when its keys are compared with
    those that the network expects, so all possibilities are given, the most complete first.
    """
    yield from _views(found, _DEPTH)


def _views(found: Found, depth: int) -> Iterator[Found]:
    yield found
    if depth == 0:
        return
    firsts = _groups(found.tensors)
    if len(firsts) == 1 and all("." in key for key in found.tensors):
        chosen = list(firsts)
    else:
        enough = [first for first, keys in firsts.items() if len(keys) >= _SEVERAL * len(found.tensors)]
        chosen = [first for first in enough if first in OUTER]
        # A running average first, if it has the same tensors as the others.
        chosen.sort(key=lambda first: (first not in AVERAGES or len(chosen) == 1, OUTER.index(first)))
    for first in chosen:
        prefix = f"{first}."
        inner = {key.removeprefix(prefix): value for key, value in found.tensors.items() if key.startswith(prefix)}
        left = tuple(key for key in found.tensors if not key.startswith(prefix))
        notes = [*found.notes, f"'{prefix}' was removed from the keys"]
        if left:
            notes.append(f"left out {len(left)} tensors outside of '{prefix}': {some(left)}")
        yield from _views(Found(inner, tuple(notes), (*found.left, *left)), depth - 1)


def _groups(tensors: Mapping[str, Tensor]) -> dict[str, list[str]]:
    firsts: dict[str, list[str]] = {}
    for key in tensors:
        firsts.setdefault(key.partition(".")[0], []).append(key)
    return firsts


def _search(node: Any, averages: bool, notes: list[str], path: str) -> dict[str, Any]:
    """Named values, most of them tensors, below a node; empty if there are none."""
    if isinstance(node, Inert):
        node = node.attributes()
    if isinstance(node, (list, tuple)):
        for place, item in enumerate(node):
            if not isinstance(item, Tensor) and (found := _search(item, averages, notes, f"{path}[{place}]")):
                return found
        return {}
    if not isinstance(node, Mapping):
        return {}
    inner = {str(key): value for key, value in node.items() if not BESIDE.fullmatch(str(key)) and _holds(value)}
    main = next((key for key in WRAPPERS if key in inner), None)
    average = next((key for key in AVERAGES if key in inner), None) if averages or main is None else None
    if main is None and average is None:
        return _own(node, inner, averages, notes, path)
    here: list[str] = []
    found = {} if main is None else _search(inner[main], averages, here, _below(path, main))
    if average is not None:
        found = _with_average(found, _search(inner[average], False, [], ""), average, here)
    elif main is not None:
        here.insert(0, f"the weights were found under '{_below(path, main)}'")
    notes += here
    if beside := [key for key in inner if key not in (main, *AVERAGES) and not isinstance(inner[key], Tensor)]:
        notes.append(f"the file holds other weights too, which were not used: {some(beside)}")
    return found


def _own(node: Mapping[Any, Any], inner: dict[str, Any], averages: bool, notes: list[str], path: str) -> dict[str, Any]:
    """Named values of a dict without a known wrapper: its own tensors and those of its parts."""
    direct = {str(key): as_tensor(value) for key, value in node.items()}
    tensors = [key for key, value in direct.items() if isinstance(value, Tensor)]
    nested = {
        key: part for key, value in inner.items() if key not in tensors and (part := _search(value, averages, [], ""))
    }
    if not tensors and len(nested) == 1:
        (key,) = nested
        notes.append(f"the weights were found under '{_below(path, key)}'")
        return _search(inner[key], averages, notes, _below(path, key))
    named: dict[str, Any] = {key: value for key, value in direct.items() if key not in nested}
    if not tensors:
        named = {}
        if nested:
            notes.append(f"the weights were joined from the parts {some(list(nested))}")
    for key, part in nested.items():
        named |= {f"{key}.{name}": value for name, value in part.items()}
    return named


def _with_average(raw: dict[str, Any], average: dict[str, Any], key: str, notes: list[str]) -> dict[str, Any]:
    """The average if it has all weights that the raw ones have, completed by their statistics; else the raw ones."""
    mine, theirs = (_plain(named) for named in (average, raw))
    missing = [name for name in theirs if name not in mine]
    if (
        average
        and not [name for name in missing if not name.endswith(STATISTICS)]
        and (not raw or set(mine) <= set(theirs))
    ):
        text = f"loaded the file's running average of the weights ('{key}')"
        if missing and any(not name.endswith("num_batches_tracked") for name in missing):
            text += ", with the statistics of the raw weights, which it lacks"
        notes.append(text)
        return {**{name: theirs[name] for name in missing}, **mine}
    reason = "has other tensors than the raw weights" if average else "has no names"
    notes.append(f"the file's running average ('{key}') {reason}, so it was not used")
    return raw


def _plain(named: Mapping[str, Any]) -> dict[str, Any]:
    """Named values without what wrappers of modules add to the keys."""
    plain = {INNER.sub("", key): value for key, value in named.items() if key not in AVERAGE_COUNTERS}
    while plain and all(key.startswith("module.") for key in plain):
        plain = {key.removeprefix("module."): value for key, value in plain.items()}
    return plain


def _without_inner_parts(tensors: dict[str, Tensor], notes: list[str]) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors without what wrappers of modules add to the keys, and without what only a training needs."""
    lost = [key for key in tensors if COUNTS.fullmatch(key) or TRAINING.fullmatch(key)]
    if len(lost) == len(tensors):
        lost = []
    if lost:
        notes.append(f"left out {len(lost)} tensors that only a training needs: {some(lost)}")
    kept = {key: value for key, value in tensors.items() if key not in lost}
    plain = _plain(kept)
    named = [key for key in kept if key not in AVERAGE_COUNTERS]
    if len(plain) < len(named):
        return kept, lost  # two tensors would have the same key
    parts = {match[0].lstrip(".") for key in named for match in INNER.finditer(key)}
    if any(INNER.sub("", key) not in plain for key in named):
        parts.add("module.")
    if parts:
        listed = ", ".join(f"'{part}'" for part in sorted(parts))
        notes.append(f"{listed} {'was' if len(parts) == 1 else 'were'} removed from the keys")
    return plain, lost


def _holds(value: Any, depth: int = 8) -> bool:
    """Whether a value is a tensor, or holds one."""
    if isinstance(as_tensor(value), Tensor):
        return True
    if isinstance(value, Inert):
        value = value.attributes()
    if depth == 0 or not isinstance(value, (Mapping, list, tuple)):
        return False
    return any(_holds(item, depth - 1) for item in (value.values() if isinstance(value, Mapping) else value))


def _described(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict with the keys {some([str(key) for key in content])}" if content else "an empty dict"
    if isinstance(content, Inert):
        return f"an object of the class '{content.name}'"
    return f"a {type(content).__name__}"


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
