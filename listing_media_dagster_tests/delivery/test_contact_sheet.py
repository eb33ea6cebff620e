from __future__ import annotations

import numpy as np
import pytest

from listing_media_dagster.delivery.contact_sheet import Badge, SheetCell, draw_contact_sheet


def cell(number: int, colour: tuple[int, int, int], shape: tuple[int, int] = (200, 300), **fields: object) -> SheetCell:
    return SheetCell(number, "Living room", np.full((*shape, 3), colour, np.uint8), **fields)


def box_of(sheet: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    found = np.argwhere((np.abs(sheet.astype(int) - colour) < 4).all(axis=2))
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0)
    return left, top, right, bottom


RED, GREEN, BLUE = (200, 10, 20), (10, 160, 30), (20, 30, 190)


def test_photos_stand_in_reading_order_and_whole() -> None:
    cells = [cell(1, RED, (800, 1200)), cell(2, GREEN, (1200, 600)), cell(3, BLUE, (600, 1800)), cell(4, (1, 2, 3))]
    sheet = draw_contact_sheet(cells, "12 Elm Street", width=1200)
    red, green, blue = (box_of(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert red[2] < green[0] and green[2] < blue[0]
    for (left, top, right, bottom), aspect in ((red, 1.5), (green, 0.5), (blue, 3.0)):
        assert abs((right - left) / (bottom - top) / aspect - 1) < 0.05


@pytest.mark.parametrize(("count", "width"), [(1, 2400), (7, 640), (24, 2400), (100, 2400), (3, 320)])
def test_any_number_of_photos_fits(count: int, width: int) -> None:
    sheet = draw_contact_sheet([cell(n, RED) for n in range(1, count + 1)], "Home", "sub", width=width)
    assert sheet.shape[1] == width and sheet.dtype == np.uint8
    assert sheet.shape[0] < 6000


def test_marks_and_captions_are_drawn() -> None:
    plain = draw_contact_sheet([cell(1, RED)], "Home", width=800)
    marked = draw_contact_sheet([cell(1, RED, badges=(Badge("Virtually staged"),))], "Home", width=800)
    other = draw_contact_sheet([SheetCell(1, "Kitchen", cell(1, RED).rgb)], "Home", width=800)
    assert (plain != marked).any() and (plain != other).any()


def test_what_was_altered_stands_out_from_its_original() -> None:
    altered, original = (
        draw_contact_sheet([cell(1, RED, badges=(Badge("same words", tone),))], "Home", width=800)
        for tone in ("notice", "aside")
    )
    assert (altered != original).any(axis=2).sum() > 500


def test_long_words_stay_on_the_sheet_and_in_their_cell() -> None:
    long = "A very long text " * 40
    cells = [SheetCell(1, long, cell(1, RED).rgb, (Badge(long, "warning"), Badge(long))), cell(2, GREEN)]
    sheet = draw_contact_sheet(cells, long, long, width=800)
    alone = draw_contact_sheet([SheetCell(1, "x", cell(1, RED).rgb), cell(2, GREEN)], "y", "z", width=800)
    left, top, right, bottom = box_of(alone, GREEN)
    assert (sheet[top : bottom + 1, left : right + 1] == alone[top : bottom + 1, left : right + 1]).all()
    assert (sheet[:, -20:] == sheet[0, 0]).all()


def test_letters_of_other_alphabets_are_drawn_not_boxed() -> None:
    drawn = [draw_contact_sheet([cell(1, RED)], title, width=600) for title in ("Łódź", "Москва", "東京", "東亰")]
    assert (drawn[2] != drawn[3]).any()
    assert len({sheet.tobytes() for sheet in drawn}) == 4
