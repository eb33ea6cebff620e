"""Sampling a plate: motion is exact to a fraction of a pixel, detail is even, colours are BT.709."""

import cv2
import numpy as np
import pytest

from listing_media_dagster.listing import RoomType
from listing_media_dagster.tour.camera import CameraPath, Crop, Mat, Move, camera_path, mat_for
from listing_media_dagster.tour.plates import new_frame, prepare_plate, rgb_of, sample

SIZE = (480, 270)
WHOLE = Mat(0, 0, *SIZE)


def waves(width: int, height: int, period: float) -> np.ndarray:
    """Soft waves across plus soft waves down, `period` px each."""
    across = np.sin((np.arange(width) + 0.5) * 2 * np.pi / period)
    down = np.sin((np.arange(height) + 0.5) * 2 * np.pi / period)
    picture = 128 + 50 * across[None] + 50 * down[:, None]
    return np.repeat(picture.round().astype(np.uint8)[..., None], 3, axis=2)


def offset_of_waves(luma: np.ndarray, crop: Crop, period: float) -> tuple[float, float]:
    """How far, in frame px, the waves of the photo lie from where `crop` should show them."""
    height, width = luma.shape
    window = np.outer(np.hanning(height), np.hanning(width)) * (luma - luma.mean())
    phases = []
    for axis, start, step in ((0, crop.x, crop.width / width), (1, crop.y, crop.height / height)):
        profile = window.sum(axis=axis)
        places = start + (np.arange(profile.size) + 0.5) * step
        found = (profile * np.exp(-2j * np.pi * places / period)).sum()
        phases.append((np.angle(found) + np.pi / 2) / (2 * np.pi) * period / step)
    return phases[0], phases[1]


@pytest.mark.parametrize("move", [Move.PAN_RIGHT, Move.PUSH_IN, Move.DRIFT_UP_LEFT, Move.TILT_UP])
@pytest.mark.parametrize("photo_width", [300, 660, 1440])
def test_motion_is_exact_to_a_twentieth_of_a_pixel(move, photo_width):
    photo_height, period = photo_width * 2 // 3, photo_width / 20
    rgb = waves(photo_width, photo_height, period)
    mat = mat_for(photo_width, photo_height, RoomType.KITCHEN, SIZE)
    path = camera_path(move, photo_width, photo_height, mat, 4.0)
    plate, frame = prepare_plate(rgb, path, WHOLE), new_frame(SIZE)
    errors = []
    for step in range(0, 120, 3):
        crop = path.at(step / 119)
        sample(plate, crop, frame, WHOLE)
        errors.append(offset_of_waves(frame.y, crop, period))
    assert np.abs(errors).max() < 0.05


def test_detail_finer_than_the_frame_doesnt_shimmer():
    rgb = np.full((1280, 1920, 3), 60, np.uint8)
    rgb[::2, ::2] = rgb[1::2, 1::2] = 200  # a one-pixel checkerboard, four photo px to a frame px
    path = camera_path(Move.PUSH_IN, 1920, 1280, WHOLE, 4.0)
    plate, frame = prepare_plate(rgb, path, WHOLE), new_frame(SIZE)
    seen = []
    for step in range(0, 100, 5):
        sample(plate, path.at(step / 99), frame, WHOLE)
        seen.append(frame.y[20:-20, 20:-20].copy())
    assert np.ptp(np.stack(seen)) <= 3


def test_sharpness_is_even_while_the_camera_crosses_pixels():
    rng = np.random.default_rng(1)
    noise = cv2.resize(rng.integers(40, 216, (180, 270), np.uint8), (540, 360), interpolation=cv2.INTER_CUBIC)
    rgb = np.repeat(noise[..., None], 3, axis=2)
    contrast = []
    for shift in np.linspace(0, 2, 17):
        start = Crop(10 + shift, 10 + shift, *SIZE)
        path = CameraPath(Crop(10, 10, *SIZE), Crop(12, 12, *SIZE))
        frame = new_frame(SIZE)
        sample(prepare_plate(rgb, path, WHOLE), start, frame, WHOLE)
        contrast.append(cv2.Laplacian(frame.y[40:-40, 40:-40].astype(np.float32), cv2.CV_32F).std())
    assert max(contrast) / min(contrast) < 1.15  # sampling the photo itself varies by a factor over 1.5


def test_colours_survive_the_way_through_bt709():
    colours = np.array(
        [[0, 0, 0], [255, 255, 255], [128, 128, 128], [200, 40, 30], [30, 160, 60], [40, 60, 200], [210, 180, 140]]
    )
    for colour in colours:
        rgb = np.broadcast_to(colour.astype(np.uint8), (180, 270, 3)).copy()
        path = camera_path(Move.STILL, 270, 180, WHOLE, 4.0)
        frame = new_frame(SIZE)
        sample(prepare_plate(rgb, path, WHOLE), path.start, frame, WHOLE)
        assert np.abs(rgb_of(frame).astype(int) - colour).max() <= 3


def test_chroma_lies_where_h264_says():
    rgb = np.full((270, 480, 3), 110, np.uint8)
    period = 30
    rgb[..., 0] = waves(480, 270, period)[..., 0]
    path = CameraPath(Crop(0, 0, 480, 270), Crop(0, 0, 480, 270))
    frame = new_frame(SIZE)
    sample(prepare_plate(rgb, path, WHOLE), path.start, frame, WHOLE)
    # Left-sited: half a luma px left of the middle of the chroma pixel's columns, in the middle of its rows.
    across, down = offset_of_waves(frame.cr, Crop(0, 0, 480, 270), period)
    assert abs(across + 0.25) < 0.05 and abs(down) < 0.05  # in chroma px


def test_mat_leaves_the_rest_of_the_frame_alone():
    rgb = np.full((300, 200, 3), 200, np.uint8)
    mat = Mat(100, 20, 120, 180)
    path = camera_path(Move.TILT_UP, 200, 300, mat, 4.0)
    frame = new_frame(SIZE)
    sample(prepare_plate(rgb, path, mat), path.start, frame, mat)
    inside = np.zeros(SIZE[::-1], bool)
    inside[20:200, 100:220] = True
    assert (frame.y[inside] > 150).all() and (frame.y[~inside] == 16).all()


def test_nothing_from_outside_the_photo_enters_the_frame():
    rgb = np.full((400, 600, 3), 180, np.uint8)
    for move in Move:
        path = camera_path(move, 600, 400, WHOLE, 4.0)
        plate, frame = prepare_plate(rgb, path, WHOLE), new_frame(SIZE)
        for moment in (0.0, 0.5, 1.0):
            sample(plate, path.at(moment), frame, WHOLE)
            assert np.ptp(frame.y) <= 1 and np.ptp(frame.cb) <= 1 and np.ptp(frame.cr) <= 1
