"""The 32 labels of the original CamVid with the colours of its `label_colors.txt`, and SegNet's 11 classes."""

from __future__ import annotations

LABELS = """
408040 Animal, c00080 Archway, 0080c0 Bicyclist, 008040 Bridge, 800000 Building, 400080 Car, 4000c0 CartLuggagePram,
c08040 Child, c0c080 Column_Pole, 404080 Fence, 8000c0 LaneMkgsDriv, c00040 LaneMkgsNonDriv, 808040 Misc_Text,
c000c0 MotorcycleScooter, 804040 OtherMoving, 40c080 ParkingBlock, 404000 Pedestrian, 804080 Road, 8080c0 RoadShoulder,
0000c0 Sidewalk, c08080 SignSymbol, 808080 Sky, 4080c0 SUVPickupTruck, 000040 TrafficCone, 004040 TrafficLight,
c04080 Train, 808000 Tree, c080c0 Truck_Bus, 400040 Tunnel, c0c000 VegetationMisc, 000000 Void, 40c000 Wall
"""
"""Entries `rrggbb name` in the order of the file, which is also the order of the ids in masks that contain ids."""

_GROUPS = (
    ("Sky",),
    ("Archway", "Bridge", "Building", "Tunnel", "Wall"),
    ("Column_Pole", "TrafficCone"),
    ("LaneMkgsDriv", "LaneMkgsNonDriv", "Road"),
    ("ParkingBlock", "RoadShoulder", "Sidewalk"),
    ("Tree", "VegetationMisc"),
    ("Misc_Text", "SignSymbol", "TrafficLight"),
    ("Fence",),
    ("Car", "OtherMoving", "SUVPickupTruck", "Train", "Truck_Bus"),
    ("Animal", "CartLuggagePram", "Child", "Pedestrian"),
    ("Bicyclist", "MotorcycleScooter"),
)


def _colors() -> dict[str, int]:
    code_of = {entry.strip()[7:]: f"#{entry.strip()[:6]}" for entry in LABELS.split(",")}
    colors = {code_of[name]: class_id for class_id, names in enumerate(_GROUPS) for name in names}
    return {code: colors.get(code, 255) for code in code_of.values()}


CAMVID_COLORS = _colors()
"""Class id among SegNet's 11 classes, or 255 for Void, by colour `#rrggbb`."""
