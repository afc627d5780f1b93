"""Mosaics for tests: tiles of one image, and files as GDAL writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

WKT = (
    'PROJCS["WGS 84 / UTM zone 33N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.25,'
    'AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],AUTHORITY["EPSG","4326"]],PROJECTION["Transverse_Mercator"],'
    'UNIT["metre",1,AUTHORITY["EPSG","9001"]],AUTHORITY["EPSG","32633"]]'
)
PLACE = f"<SRS>{WKT}</SRS><GeoTransform> 5.0e+05, 5.0e-01, 0.0, 5.0e+06, 0.0, -5.0e-01</GeoTransform>"
COLORS = ("Red", "Green", "Blue", "Alpha")


def source(
    file: str, band: int, target: tuple[int, int], size: tuple[int, int], *, kind="SimpleSource", more=""
) -> str:
    """A source: all of a file of that (height, width), at (top, left)."""
    return (
        f'<{kind}><SourceFilename relativeToVRT="1">{file}</SourceFilename><SourceBand>{band}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{size[1]}" ySize="{size[0]}" />'
        f'<DstRect xOff="{target[1]}" yOff="{target[0]}" xSize="{size[1]}" ySize="{size[0]}" />{more}</{kind}>'
    )


def vrt(path: Path, size: tuple[int, int], bands: list[str], *, head: str = PLACE, dtype: str = "Byte") -> Path:
    """Write a mosaic of that (height, width), with the content of each band."""
    text = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{number}">{band}</VRTRasterBand>'
        for number, band in enumerate(bands, 1)
    )
    path.write_text(f'<VRTDataset rasterXSize="{size[1]}" rasterYSize="{size[0]}">{head}{text}</VRTDataset>', "utf-8")
    return path


def cut(
    folder: Path, image: np.ndarray, tile: tuple[int, int], *, left_out: int | None = None, nodata: str = "", **options
) -> Path:
    """Cut an image (H, W, C) into TIFF files and write the mosaic of them, `all.vrt`."""
    (folder / "tiles").mkdir(parents=True)
    sources: list[list[str]] = [[] for _ in range(image.shape[2])]
    number = 0
    for top in range(0, image.shape[0], tile[0]):
        for left in range(0, image.shape[1], tile[1]):
            part = image[top : top + tile[0], left : left + tile[1]]
            name = f"tiles/{number}.tif"
            if number != left_out:
                tifffile.imwrite(
                    folder / name, part,
                    **{"photometric": "rgb", "metadata": None, "tile": (32, 48), "compression": "zlib"} | options,
                )  # fmt: skip
                for band, found in enumerate(sources):
                    kind, more = ("ComplexSource", f"<NODATA>{nodata}</NODATA>") if nodata else ("SimpleSource", "")
                    found.append(source(name, band + 1, (top, left), part.shape[:2], kind=kind, more=more))
            number += 1
    stated = f"<NoDataValue>{nodata}</NoDataValue>" if nodata else ""
    bands = [
        f"{stated}<ColorInterp>{color}</ColorInterp>{''.join(found)}"
        for color, found in zip(COLORS, sources, strict=False)
    ]
    return vrt(folder / "all.vrt", image.shape[:2], bands)
