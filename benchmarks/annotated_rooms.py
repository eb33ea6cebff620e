"""Rooms whose openings, floor, walls and edges were marked by hand, as shares of the picture's width and height.

Only coordinates live here. The sample listing ships with the package; the other photos are measured where present.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.decode import decode_upright

Floats = NDArray[np.float64]
SAMPLE = Path(__file__).parents[1] / "listing_media_dagster" / "sample_listing" / "drop"
PHOTOS = Path(__file__).parents[2] / "shared" / "data"
LONG_SIDE = 1600


@dataclass(frozen=True)
class MarkedOpening:
    kind: Literal["window", "door"]
    outline: Floats


@dataclass(frozen=True)
class AnnotatedRoom:
    """`floor` (n, 2), `walls` quadrilaterals (4, 2), `edges` (n, 4) where walls meet; corners clockwise from top left.

    `free_window` and `free_door` are bare places where one could be invented.
    """

    file: Path
    openings: tuple[MarkedOpening, ...]
    floor: Floats
    walls: tuple[Floats, ...]
    edges: Floats
    free_window: Floats
    free_door: Floats

    @property
    def name(self) -> str:
        return self.file.stem

    def photo(self) -> NDArray[np.uint8]:
        """Return the upright photo at `LONG_SIDE` px, about 2 megapixels."""
        rgb = decode_upright(self.file).rgb
        factor = min(1.0, LONG_SIDE / max(rgb.shape[:2]))
        return np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _points(text: str) -> Floats:
    return np.array([float(value) for value in text.split()]).reshape(-1, 2)


def _room(
    file: Path, windows: list[str], doors: list[str], floor: str, walls: list[str], edges: str, free: tuple[str, str]
) -> AnnotatedRoom:
    openings = [MarkedOpening("window", _points(each)) for each in windows]
    openings += [MarkedOpening("door", _points(each)) for each in doors]
    return AnnotatedRoom(
        file, tuple(openings), _points(floor), tuple(_points(each) for each in walls),
        _points(edges).reshape(-1, 4), _points(free[0]), _points(free[1]),
    )  # fmt: skip


SAMPLE_ROOMS = (
    _room(
        SAMPLE / "DSC_0412.JPG",
        [".415 .37 .512 .37 .512 .575 .415 .57", ".568 .35 .695 .35 .697 .59 .568 .58",
         ".84 .28 .905 .16 .905 .65 .84 .59"],
        [".218 .36 .293 .385 .298 .64 .223 .67"],
        "0 .765 .3 .64 .375 .605 .81 .66 .955 1 0 1",
        [".375 .345 .81 .285 .81 .65 .375 .6", "0 .23 .37 .35 .37 .6 0 .75", ".815 .29 1 .0 1 1 .815 .66"],
        "0 .765 .22 .672 .375 .605 .81 .66 .81 .66 .955 1 .81 .28 .81 .66 0 .215 .375 .345",
        (".05 .35 .16 .38 .16 .56 .05 .575", ".725 .36 .79 .355 .79 .655 .725 .648"),
    ),
    _room(
        SAMPLE / "DSC_0421.JPG",
        [".437 .335 .615 .335 .615 .585 .437 .57"],
        [".945 .08 1.0 .04 1.0 1.0 .945 1.0"],
        "0 .945 .33 .705 .345 .675 .75 .74 .83 1 0 1",
        [".335 .31 .75 .28 .75 .73 .335 .67", ".77 .27 .93 .0 .93 1 .77 .75"],
        ".345 .675 .75 .74 .75 .74 .83 1 .75 .28 .75 .74 0 .125 .333 .305 .333 .305 .333 .7",
        (".345 .38 .395 .38 .395 .55 .345 .55", ".68 .38 .735 .38 .735 .735 .68 .725"),
    ),
    _room(
        SAMPLE / "03-kitchen.jpg",
        [".543 .35 .64 .345 .64 .515 .543 .505"],
        [],
        "0 .87 .12 .81 .17 .83 .43 .67 .75 .725 .86 .745 .97 1 0 1",
        ["0 .16 .36 .33 .36 .45 0 .6", ".865 .25 .99 .0 .99 1 .865 .74"],
        "0 .87 .12 .81 .86 .745 .97 1 .13 .26 .315 .32 .105 .455 .32 .46 .445 .35 .52 .345 .755 .31 .755 .73",
        (".02 .3 .09 .32 .09 .5 .02 .52", ".89 .33 .95 .27 .95 .93 .89 .8"),
    ),
    _room(
        SAMPLE / "DSC_0431.JPG",
        [".405 .355 .65 .345 .65 .665 .405 .64"],
        ["0 .32 .13 .345 .14 .75 0 .8"],
        "0 .82 .3 .69 .4 .68 .72 .7 .74 1 0 1",
        [".145 .25 .32 .33 .32 .67 .145 .74", ".775 .27 1 .05 1 .95 .775 .7"],
        "0 .185 .325 .315 .325 .315 .775 .255 .775 .255 .775 .6 .145 .75 .245 .705 .775 .255 .89 .0",
        (".18 .36 .27 .38 .27 .55 .18 .56", ".69 .38 .76 .37 .76 .7 .69 .69"),
    ),
    _room(
        SAMPLE / "IMG_2201.JPG",
        [".458 .405 .563 .405 .563 .503 .458 .503"],
        [".43 .385 .588 .385 .592 .62 .435 .62", ".01 .24 .175 .3 .185 .81 .05 .94", ".29 .36 .33 .37 .33 .66 .3 .7",
         ".72 .35 .775 .31 .775 .76 .72 .7"],
        ".0 1 .36 .625 .66 .622 .96 1",
        [".36 .335 .66 .333 .66 .62 .36 .62", ".8 .28 1 .12 1 1 .8 .79"],
        ".36 .335 .36 .625 .66 .333 .66 .622 .36 .335 .66 .333 0 .08 .36 .335 .66 .622 .72 .7 .78 .77 .96 1",
        (".85 .4 .96 .36 .96 .6 .85 .58", ".86 .33 .97 .27 .97 .95 .86 .84"),
    ),
    _room(
        SAMPLE / "bathroom.jpg",
        [".482 .28 .603 .275 .6 .495 .482 .49"],
        [],
        ".13 1 .37 .71 .6 .755 .6 .9 .87 .95 .87 1",
        [".35 .19 .74 .155 .735 .49 .35 .47", ".745 .16 1 .0 1 .55 .745 .49"],
        ".35 .19 .35 .6 .74 .155 .74 .62 .35 .19 .74 .155 .37 .71 .6 .755",
        (".63 .28 .71 .275 .71 .46 .63 .46", ".37 .25 .44 .24 .44 .73 .37 .715"),
    ),
)  # fmt: skip

REAL_ROOMS = (
    _room(
        PHOTOS / "empty_rooms" / "fvs_12_empty.png",
        [],
        [".07 .345 .152 .345 .155 .63 .105 .635"],
        ".11 .65 .41 .6 1 .775 1 1 0 1 .02 .95 .12 .8",
        [".415 .33 1 .1 1 .73 .415 .59", ".19 .31 .34 .32 .34 .6 .19 .61"],
        ".41 .6 1 .775 .16 .632 .28 .615 .41 .37 .41 .6 .46 .315 1 .075 .285 .31 .285 .615",
        (".5 .38 .62 .35 .62 .55 .5 .53", ".78 .3 .88 .27 .88 .735 .78 .7"),
    ),
    _room(
        PHOTOS / "empty_rooms" / "fvs_before1.webp",
        [".447 .355 .8 .31 .8 .58 .447 .555"],
        [],
        "0 .85 .4 .67 .43 .665 .8 .73 .95 1 0 1",
        ["0 .05 .39 .3 .39 .66 0 .8", ".805 .2 1 .0 1 1 .805 .71"],
        "0 .85 .4 .67 .805 .73 .95 1 .43 .555 .8 .58 .05 .0 .4 .295 .8 .31 .8 .73",
        (".1 .32 .24 .35 .24 .58 .1 .61", ".28 .36 .36 .375 .36 .68 .28 .715"),
    ),
    _room(
        PHOTOS / "empty_rooms" / "fvs_before5.webp",
        [".757 .35 .872 .33 .872 .6 .757 .585", ".518 .41 .605 .4 .605 .565 .518 .555"],
        [".322 .285 .605 .36 .605 .65 .322 .76"],
        "0 .91 .33 .78 .35 .65 .5 .625 .6 .65 .635 .66 1 .755 1 1 0 1",
        [".64 .32 1 .19 1 .73 .64 .65", "0 .1 .3 .21 .3 .74 0 .87"],
        "0 .91 .33 .78 .635 .66 1 .755 .33 .3 .33 .78",
        (".1 .3 .22 .33 .22 .55 .1 .56", ".9 .3 .97 .28 .97 .745 .9 .725"),
    ),
    _room(
        PHOTOS / "empty_rooms" / "fvs_property_before1.jpg",
        [".025 .27 .175 .31 .18 .655 .035 .685", ".18 .315 .28 .34 .28 .625 .185 .65",
         ".285 .345 .437 .375 .437 .59 .29 .625"],
        [".76 .405 .835 .395 .835 .585 .76 .575"],
        "0 .72 .45 .595 .5 .6 .6 .57 .76 .58 .97 .605 1 .73 1 1 0 1",
        [".63 .38 .755 .37 .755 .57 .63 .56", ".84 .35 .965 .32 .965 .6 .84 .585"],
        ".01 .21 .45 .365 .49 .335 .49 .6 .515 .335 .515 .6 .97 .24 .97 .7 .84 .59 .97 .605 .63 .56 .76 .58",
        (".65 .42 .72 .415 .72 .51 .65 .51", ".87 .39 .93 .385 .93 .6 .87 .595"),
    ),
    _room(
        PHOTOS / "empty_rooms" / "swd_empty_bedroom_1.jpg",
        [".075 .1 .133 .14 .133 .62 .075 .635"],
        [".185 .145 .37 .145 .37 .68 .185 .67"],
        "0 .755 .08 .73 .17 .67 .9 .69 1 .77 1 1 0 1",
        [".4 .1 .89 .1 .89 .66 .4 .66", ".91 .08 1 .03 1 .74 .91 .67"],
        ".17 .67 .9 .69 .9 .69 1 .77 .395 .555 .88 .555 .16 .055 .9 .055 .9 .055 .9 .69",
        (".55 .2 .68 .2 .68 .45 .55 .45", ".72 .2 .81 .2 .81 .685 .72 .685"),
    ),
    _room(
        PHOTOS / "empty_rooms" / "swd_empty_livingroom_4.jpg",
        ["0 .235 .108 .29 .108 .575 0 .62", ".135 .29 .213 .325 .213 .545 .135 .56"],
        [".44 .325 .545 .325 .545 .655 .44 .655", ".825 .265 1 .16 1 .9 .825 .75"],
        "0 .82 .235 .65 .73 .66 .84 .755 1 .77 1 1 0 1",
        [".24 .27 .435 .27 .435 .64 .24 .63", ".55 .28 .725 .275 .725 .65 .55 .65"],
        "0 .09 .24 .262 .24 .262 .73 .268 .73 .268 1 .035 0 .82 .235 .65 "
        ".235 .65 .44 .657 .545 .657 .725 .66 .725 .27 .725 .66",
        (".29 .35 .39 .35 .39 .54 .29 .54", ".6 .34 .68 .34 .68 .66 .6 .66"),
    ),
)  # fmt: skip
