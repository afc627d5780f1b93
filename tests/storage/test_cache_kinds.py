import ast
import itertools
from pathlib import Path

import pytest

import pixelwise
from pixelwise.storage.cache_kinds import AUDIT, DECODED, DRAWN, INITIAL_WEIGHTS, KINDS, MASK_IDS, TOWN, CacheKind

SOURCE = Path(pixelwise.__file__).parent
KEY = "0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (AUDIT, f"audit-{KEY}.msgpack", ("", 6, KEY, "")),
        (AUDIT, f"audit-{KEY}@ab12.msgpack", ("", 6, KEY, "ab12")),
        (AUDIT, f"audit-v7-{KEY}.msgpack", ("", 7, KEY, "")),
        (MASK_IDS, "mask-ids-v3-0123456789-1000.msgpack", ("", 3, "0123456789-1000", "")),
        (DRAWN, f"drawn-label-studio-json-v3-{KEY}@ab", ("label-studio-json", 3, KEY, "ab")),
        (TOWN, "town-0123456789abcdef", ("", 2, "0123456789abcdef", "")),
        (DECODED, f"decoded/{KEY}", ("", 1, KEY, "")),
        (INITIAL_WEIGHTS, "initial-weights.json", ("", 1, "", "")),
        (DRAWN, f"drawn-coco-{KEY}", None),
        (AUDIT, f"audit-{KEY}.json", None),
        (AUDIT, "audit-notes.msgpack", None),
        (DECODED, "decoded", None),
    ],
)
def test_names_of_entries_are_read(kind: CacheKind, name: str, expected: tuple[str, int, str, str] | None):
    assert kind.parse(name) == expected


def test_entries_have_the_names_of_their_versions():
    assert AUDIT.entry_name(KEY) == f"audit-v13-{KEY}.msgpack"
    assert MASK_IDS.entry_name("0123-0") == "mask-ids-v7-0123-0.msgpack"
    assert DRAWN.entry_name(KEY, variant="labelme") == f"drawn-labelme-v3-{KEY}"
    assert {kind.name: kind.entry_name("ab12") for kind in KINDS if not kind.variants} == {
        "decoded": "decoded/v2-ab12",
        "features": "features/v1-ab12",
        "taught": "taught/v1-ab12",
        "tiled-masks": "tiled-masks/v1-ab12",
        "cocoseg21": "cocoseg21-v1-ab12",
        "town": "town-ab12",
        "audit": "audit-v13-ab12.msgpack",
        "examined": "examined-v9-ab12.msgpack",
        "examining": "examining-v1-ab12.msgpack",
        "hashes": "hashes-v2-ab12.msgpack",
        "mask-ids": "mask-ids-v7-ab12.msgpack",
        "ceiling": "ceiling-v2-ab12.msgpack",
        "shard-index": "shard-index-v1-ab12",
        "tar-members": "tar-members-v1-ab12.msgpack",
        "complexity": "complexity/ab12.json",
        "error-kinds": "error-kinds-v1-ab12.msgpack",
        "web-runtime": "web-runtime-v1-ab12",
        "hub-artefacts": "hub-artefacts/v1-ab12",
        "initial-weights": "initial-weightsab12.json",
    }


def test_a_name_is_read_as_it_was_written_and_by_its_own_kind_alone():
    for kind, version in itertools.product(KINDS, (1, 2, 6, 9)):
        changed = CacheKind(
            **{name: getattr(kind, name) for name in CacheKind.__struct_fields__} | {"version": version}  # type: ignore[arg-type]
        )
        variant = "yolo" if kind.variants else ""
        name = changed.entry_name(KEY, variant=variant, subject="ab")
        assert kind.parse(name) == (variant, version, KEY, "ab")
        assert [other.name for other in KINDS if other.parse(name)] == [kind.name]


def test_every_kind_says_what_it_is_for():
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(len(kind.purpose) > 20 for kind in KINDS)


def test_no_module_bypasses_the_registered_kinds():
    """Outside of `storage` nobody asks for the cache folder, or makes a kind of entry."""
    for file in SOURCE.rglob("*.py"):
        if file.parent.name == "storage":
            continue
        nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        names |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert not names & {"cache_folder", "CacheKind"}, file
        assert not texts & {"XDG_CACHE_HOME", ".cache", "~/.cache"}, file
