"""The cards' lines and a photo's label fit the frame whatever they say."""

import numpy as np
import pytest

from listing_media_dagster.tour.titles import lay_out_card, lay_out_label

LONG = "Penthouse Residence at the Old Harbour Customs House, Staircase B, Apartment 1204 West"


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (640, 360)])
@pytest.mark.parametrize(
    "title", ["8 Oak Ln", "1284 Juniper Ridge Road", LONG, LONG.replace(" ", ""), "Ž", "x" * 5000, "word " * 999]
)
def test_lines_stay_in_the_safe_area_and_apart(size, title):
    layers = lay_out_card("Open house on Sunday from two to five o'clock", title, "Santa Rosa, CA 95404", size)
    lowest = 0
    for layer in layers:
        height, width = layer.mask.shape
        assert layer.mask.max() > 150, "nothing was drawn"
        assert layer.x % 2 == layer.y % 2 == height % 2 == width % 2 == 0
        assert layer.x >= 0.08 * size[0] - 8 and layer.x + width <= 0.92 * size[0] + 8
        assert layer.y >= lowest and layer.y + height <= size[1]
        lowest = layer.y + height - 2
    assert len(layers) == 4


def test_card_is_centred():
    layers = lay_out_card("", "12 Elm Street", "", (1920, 1080))
    (layer,) = layers
    columns = np.flatnonzero(layer.mask.max(axis=0) > 60)
    assert abs(layer.x + (columns[0] + columns[-1]) / 2 - 960) < 8
    assert abs(layer.y + layer.mask.shape[0] / 2 - 540) < 8


def test_letters_outside_ascii_have_their_own_glyphs():
    masks = {text: lay_out_card("", text, "", (640, 360))[0].mask for text in ("É", "Ł", "Ж", "Ω", "ồ", "ß", "\ue123")}
    shapes = {text: (mask.shape, mask.tobytes()) for text, mask in masks.items()}
    assert len(set(shapes.values())) == len(shapes)


def test_nothing_said_nothing_drawn():
    assert lay_out_card("", "", "", (640, 360)) == ()


def test_what_has_no_shape_leaves_no_box():
    plain, decorated = (
        lay_out_card("", text, "", (640, 360))[0] for text in ("Elm House", "🏠 Elm\u202e\nHouse\x07 🏡\ufe0f")
    )
    assert np.array_equal(plain.mask, decorated.mask)
    assert lay_out_card("🏠", "\n", "\u200f", (640, 360)) == ()


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (640, 360)])
def test_a_label_stands_whole_in_the_title_safe_area_and_is_large_enough_to_read(size):
    label = lay_out_label("Virtually staged", size)
    rows, _ = np.nonzero(label.mask > 128)
    assert np.ptp(rows) >= 0.02 * min(size)
    assert label.x >= 0.04 * size[0] and label.x + label.mask.shape[1] <= 0.96 * size[0]
    assert label.y + label.mask.shape[0] <= 0.96 * size[1]
