import msgspec

from pixelwise.datasets.shards.facts import Facts, Shard, file_columns, mask_roles, pixel_columns


def test_facts_are_json_that_others_read():
    facts = Facts(
        format="folder", description="by hand", masks=("mask",), number_of_classes=1, shards=(Shard("a.tar", 5),),
        label_map={0: 0, 255: 1}, label_names={3: "car"}, palette=((1, 2, 3),),
    )  # fmt: skip
    content = msgspec.json.encode(facts)
    assert msgspec.json.decode(content)["shards"] == [["a.tar", 5]]
    assert msgspec.json.decode(content, type=Facts) == facts


def test_columns_are_named_by_role():
    assert file_columns("image") == ("image", "image_offset", "image_size", "image_sha256")
    assert mask_roles(None) == ("mask",)
    assert mask_roles(2) == ("mask_0", "mask_1", "mask_ignored")
    assert pixel_columns(2) == ("pixels_0", "pixels_1", "pixels_ignored")
