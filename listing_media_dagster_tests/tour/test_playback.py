"""The film plays and seeks in a real browser."""

import shutil

import pytest

from listing_media_dagster.tour.render import render_tour
from listing_media_dagster.tour.storyboard import Titles, build_storyboard
from listing_media_dagster_tests.tour.film import Home, SegmentFolder

pytest.importorskip("av")
playwright = pytest.importorskip("playwright.sync_api")

PAGE = '<!doctype html><body style="margin:0"><video muted playsinline width=960 src="tour.mp4"></video>'
SEEK = """async second => {
  const video = document.querySelector('video');
  video.pause();
  await new Promise((resolve, reject) => {
    video.onseeked = resolve; video.onerror = () => reject(video.error.message); video.currentTime = second;
  });
  const canvas = Object.assign(document.createElement('canvas'), {width: 64, height: 36});
  const pen = canvas.getContext('2d'); pen.drawImage(video, 0, 0, 64, 36);
  return [video.currentTime, Array.from(pen.getImageData(0, 0, 64, 36).data)];
}"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium isn't installed")
def test_film_plays_to_its_end_and_seeks_in_chromium(tmp_path):
    home, store = Home(2), SegmentFolder(tmp_path / "segments")
    board = build_storyboard(home.shots, Titles(), seconds_per_photo=1.2)
    render_tour(board, home.load, tmp_path / "tour.mp4", cached_segment=store.cached, keep_segment=store.keep)
    (tmp_path / "index.html").write_text(PAGE)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--allow-file-access-from-files"]
        )
        page = browser.new_page()
        page.goto((tmp_path / "index.html").as_uri())
        page.wait_for_function(
            "document.querySelector('video').readyState >= 2 || document.querySelector('video').error"
        )
        shown = page.evaluate(
            "(v => [v.videoWidth, v.videoHeight, v.duration, v.error])(document.querySelector('video'))"
        )
        assert shown[:2] == [1920, 1080] and shown[3] is None
        assert abs(shown[2] - board.seconds) < 0.05
        page.evaluate("document.querySelector('video').play()")
        page.wait_for_function("document.querySelector('video').currentTime > 0.5")
        for second in (board.seconds - 1.5, 1.1, board.seconds / 2):
            at, pixels = page.evaluate(SEEK, second)
            assert abs(at - second) < 0.05
            assert max(pixels[::4]) > 30, f"nothing is shown at {second:.1f} s"
        page.evaluate(
            "second => { const v = document.querySelector('video'); v.currentTime = second; v.play(); }",
            board.seconds - 1,
        )
        page.wait_for_function("document.querySelector('video').ended")
        browser.close()
