from __future__ import annotations

from pixelwise.datasets.labels import format_color
from pixelwise.recipes.class_sets.camvid import CAMVID_COLORS, LABELS
from pixelwise.recipes.class_sets.tables import CAMVID, CAMVID32, IGNORE

# As CamVid's own label_colors.txt has them (red, green, blue), by the class of SegNet that they belong to.
GROUPS: dict[str, dict[str, tuple[int, int, int]]] = {
    "sky": {"Sky": (128, 128, 128)},
    "building": {
        "Archway": (192, 0, 128), "Bridge": (0, 128, 64), "Building": (128, 0, 0), "Tunnel": (64, 0, 64),
        "Wall": (64, 192, 0),
    },
    "pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
    "road": {"LaneMkgsDriv": (128, 0, 192), "LaneMkgsNonDriv": (192, 0, 64), "Road": (128, 64, 128)},
    "pavement": {"ParkingBlock": (64, 192, 128), "RoadShoulder": (128, 128, 192), "Sidewalk": (0, 0, 192)},
    "tree": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
    "sign_symbol": {"Misc_Text": (128, 128, 64), "SignSymbol": (192, 128, 128), "TrafficLight": (0, 64, 64)},
    "fence": {"Fence": (64, 64, 128)},
    "car": {
        "Car": (64, 0, 128), "OtherMoving": (128, 64, 64), "SUVPickupTruck": (64, 128, 192), "Train": (192, 64, 128),
        "Truck_Bus": (192, 128, 192),
    },
    "pedestrian": {
        "Animal": (64, 128, 64), "CartLuggagePram": (64, 0, 192), "Child": (192, 128, 64), "Pedestrian": (64, 64, 0),
    },
    "bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
}  # fmt: skip


def test_colours_are_those_of_the_original_and_mean_segnets_classes():
    for class_id, colors in enumerate(GROUPS.values()):
        for name, color in colors.items():
            assert CAMVID_COLORS[format_color(color)] == class_id, name
    assert CAMVID_COLORS["#000000"] == IGNORE
    assert len(CAMVID_COLORS) == sum(map(len, GROUPS.values())) + 1 == 32


def test_segnets_classes_are_in_segnets_order():
    assert CAMVID.names == tuple(GROUPS)


def test_labels_are_in_the_order_of_the_file_which_is_the_alphabets():
    entries = [entry.split() for entry in LABELS.split(",")]
    names = [name for _, name in entries]
    assert names == sorted(names, key=str.lower)
    colors = {name: color for named in GROUPS.values() for name, color in named.items()} | {"Void": (0, 0, 0)}
    assert {name: f"#{code}" for code, name in entries} == {name: format_color(c) for name, c in colors.items()}
    assert list(CAMVID_COLORS) == [f"#{code}" for code, _ in entries]


def test_the_32_labels_fall_into_11_groups():
    assert sorted(set(CAMVID_COLORS.values())) == [*range(11), IGNORE]
    assert [color for color, class_id in CAMVID_COLORS.items() if class_id == IGNORE] == ["#000000"]
    assert {CAMVID_COLORS[format_color(color)] for color in CAMVID32.palette} == set(range(11))
