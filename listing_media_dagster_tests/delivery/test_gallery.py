"""The gallery as a customer meets it: in a browser, from a folder, on a phone, and with hostile words in it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from listing_media_dagster.delivery.gallery import Comparison, GalleryModel, GalleryPhoto, Picture, render_gallery
from listing_media_dagster.delivery.package import build_package
from listing_media_dagster.listing import Agent, Listing, RoomType
from listing_media_dagster_tests.delivery.sample import Loads, given, photo

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
R = RoomType
HOSTILE = "\"><img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>{{ 7*7 }}"


@pytest.fixture(scope="module")
def page_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A gallery as it comes out of the zip."""
    folder = tmp_path_factory.mktemp("gallery")
    loads = Loads()
    photos = [photo("k", R.KITCHEN), photo("l", R.LIVING_ROOM, altered=True), photo("f", R.EXTERIOR_FRONT)]
    listing = Listing(
        id="Home_7",
        address=f"7 Elm Street {HOSTILE}",
        headline=f"Fine {HOSTILE}",
        agent=Agent(name=f"Agent {HOSTILE}", phone="+1 (555) 0100"),
    )
    inputs = [given(each, loads, 900, 600) for each in photos]
    video = folder / "cut.mp4"
    write_film(video)
    build_package(inputs, listing, None, folder / "made" / "Home_7", video=video)
    with zipfile.ZipFile(folder / "made" / "Home_7.zip") as archive:
        archive.extractall(folder / "somewhere else")
    shutil.rmtree(folder / "made")
    return (folder / "somewhere else" / "Home_7" / "index.html").as_uri()


def write_film(path: Path) -> None:
    import av
    import numpy as np

    with av.open(path, "w") as container:
        stream = container.add_stream("h264", 30)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for shade in range(15):
            frame = av.VideoFrame.from_ndarray(np.full((180, 320, 3), shade * 10, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def chromium() -> Iterator[playwright.Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, headless=True, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """An opened page and whatever went wrong on it."""

    def __init__(self, context: playwright.BrowserContext, url: str) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(8000)
        self.problems: list[str] = []
        self.requested: list[str] = []
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(url)

    def tile(self, number: int) -> playwright.Locator:
        return self.page.locator(f"#photo-{number} .open")

    @property
    def where(self) -> str:
        return " ".join(self.page.locator(".viewer .where").inner_text().split())


@pytest.fixture
def desktop(chromium: playwright.Browser, page_url: str) -> Iterator[Visit]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    visit = Visit(context, page_url)
    yield visit
    context.close()
    assert visit.problems == []


@pytest.fixture
def phone(chromium: playwright.Browser, page_url: str) -> Iterator[Visit]:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme="dark"
    )
    visit = Visit(context, page_url)
    yield visit
    context.close()
    assert visit.problems == []


def test_every_picture_and_the_film_load_from_the_folder_alone(desktop: Visit) -> None:
    images = desktop.page.locator(".grid img")
    for index in range(images.count()):
        images.nth(index).scroll_into_view_if_needed()
        desktop.page.wait_for_function("i => document.querySelectorAll('.grid img')[i].naturalWidth > 0", arg=index)
    desktop.page.wait_for_function("document.querySelector('video').readyState >= 1")
    assert desktop.page.evaluate("document.querySelector('video').error") is None
    assert images.count() == 4
    assert all(url.startswith("file:") for url in desktop.requested) and len(desktop.requested) > 4


def test_hostile_words_are_shown_and_never_run(desktop: Visit) -> None:
    assert desktop.page.title() == f"7 Elm Street {HOSTILE}"
    assert desktop.page.locator("h1").inner_text() == f"7 Elm Street {HOSTILE}"
    assert "{{ 7*7 }}" in desktop.page.locator(".headline").inner_text()
    assert desktop.page.locator("img[onerror], script:not(:last-of-type)").count() == 0


def test_the_security_policy_stops_a_script_that_got_in(chromium: playwright.Browser, page_url: str) -> None:
    context = chromium.new_context()
    visit = Visit(context, page_url)
    visit.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.owned = true' }))"
    )
    assert visit.page.evaluate("window.owned") is None
    assert any("Content Security Policy" in problem for problem in visit.problems)
    context.close()


def test_the_viewer_is_driven_by_keys(desktop: Visit) -> None:
    desktop.tile(1).focus()
    desktop.page.keyboard.press("Enter")
    assert desktop.where == "1 / 4 Front exterior"
    desktop.page.keyboard.press("ArrowRight")
    assert desktop.where == "2 / 4 Living room Virtually staged"
    assert desktop.page.url.endswith("#photo-2")
    desktop.page.keyboard.press("End")
    desktop.page.keyboard.press("ArrowRight")
    assert desktop.where.startswith("1 / 4")
    desktop.page.keyboard.press("ArrowLeft")
    desktop.page.keyboard.press("Escape")
    desktop.page.locator(".viewer").wait_for(state="hidden")
    assert desktop.page.evaluate("document.activeElement.closest('.tile').id") == "photo-4"
    assert "#photo" not in desktop.page.url and desktop.page.evaluate("history.state") is None


def test_an_altered_photo_is_labelled_everywhere_and_compared_with_its_original(desktop: Visit) -> None:
    page = desktop.page
    assert page.locator("#photo-2 .label").inner_text() == "Virtually staged"
    assert "virtually staged" in (page.locator("#photo-2 img").get_attribute("alt") or "")
    assert page.locator("#photo-3 .label").inner_text() == "Original of photo 2"
    assert "1 photo in this gallery has been digitally altered" in page.locator(".statement").inner_text()
    desktop.tile(2).click()
    page.locator(".viewer .compare").click()
    assert page.locator(".side.left").inner_text() == "Original"
    assert page.locator(".side.right").inner_text() == "Virtually staged"
    page.wait_for_function("document.querySelector('.before').naturalWidth > 0")
    assert "03-living-room-Home_7" in (page.locator(".viewer .before").get_attribute("src") or "")


def divider(page: playwright.Page) -> float:
    return page.evaluate(
        "(() => { const f = document.querySelector('.frame').getBoundingClientRect(),"
        " h = document.querySelector('.handle').getBoundingClientRect(); return (h.left + 1 - f.left) / f.width })()"
    )


def test_the_divider_follows_the_mouse_and_the_arrow_keys(desktop: Visit) -> None:
    page = desktop.page
    desktop.tile(4).click()
    page.locator(".viewer .compare").click()
    assert page.locator(".side.left").inner_text() == "As photographed"
    assert divider(page) == pytest.approx(0.5, abs=0.01)
    page.keyboard.press("ArrowRight")
    assert divider(page) == pytest.approx(0.51, abs=0.003)
    assert desktop.where.startswith("4 / 4")
    box = page.locator(".frame").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 90, steps=4)
    page.mouse.up()
    assert divider(page) == pytest.approx(0.2, abs=0.01)
    clip = page.evaluate("getComputedStyle(document.querySelector('.veil')).clipPath")
    assert clip.startswith("inset(0px calc(80% ") or "80%" in clip or "calc(100% - 20" in clip


def test_what_was_done_is_told_in_the_viewer_and_below(desktop: Visit) -> None:
    desktop.tile(2).click()
    desktop.page.locator(".viewer .info").click()
    told = desktop.page.locator(".viewer .panel").inner_text()
    assert "Colours balanced" in told and "furniture and decor were added digitally" in told
    link = desktop.page.locator(".viewer .panel a").first
    assert link.inner_text() == "MLS 900 × 600"
    assert (link.get_attribute("href") or "").startswith("photos/mls/02-living-room")
    desktop.page.keyboard.press("Escape")
    desktop.page.locator(".about summary").click()
    assert "Colours balanced" in desktop.page.locator(".ledger li").nth(3).inner_text()


def test_a_link_to_a_photo_opens_it(chromium: playwright.Browser, page_url: str) -> None:
    context = chromium.new_context()
    visit = Visit(context, f"{page_url}#photo-4")
    assert visit.where == "4 / 4 Kitchen"
    visit.page.keyboard.press("Escape")
    visit.page.locator(".viewer").wait_for(state="hidden")
    context.close()
    assert visit.problems == []


def swipe(page: playwright.Page, start: float, end: float) -> None:
    session = page.context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", [start]),
        *(("touchMove", [start + (end - start) * step / 5]) for step in range(1, 6)),
        ("touchEnd", []),
    ):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": 420} for x in points]})


def test_a_phone_swipes_and_its_back_button_closes_the_viewer(phone: Visit) -> None:
    phone.tile(1).tap()
    swipe(phone.page, 330, 60)
    assert phone.where.startswith("2 / 4")
    swipe(phone.page, 60, 330)
    assert phone.where.startswith("1 / 4")
    phone.page.go_back()
    phone.page.locator(".viewer").wait_for(state="hidden")
    assert phone.page.locator("h1").is_visible()


def test_a_finger_moves_the_divider_and_does_not_leave_the_photo(phone: Visit) -> None:
    phone.tile(2).tap()
    phone.page.locator(".viewer .compare").tap()
    swipe(phone.page, 195, 312)
    assert divider(phone.page) == pytest.approx(0.8, abs=0.02)
    assert phone.where.startswith("2 / 4")


def test_nothing_is_wider_than_the_screen(desktop: Visit) -> None:
    for width in (320, 390, 768, 1280, 1920):
        desktop.page.set_viewport_size({"width": width, "height": 800})
        assert desktop.page.evaluate("document.documentElement.scrollWidth") <= width


def test_controls_are_named_and_large_enough_for_a_finger(phone: Visit) -> None:
    phone.tile(2).tap()
    buttons = phone.page.locator(".viewer button:visible")
    for index in range(buttons.count()):
        box = buttons.nth(index).bounding_box()
        assert box["width"] >= 44 and box["height"] >= 44
    assert buttons.count() >= 3
    unnamed = phone.page.locator("img:not([alt]), a:not([aria-label]):not([href])")
    assert unnamed.count() == 0
    assert phone.page.locator(".agent-phone").first.get_attribute("href") == "tel:+15550100"


CONTRAST = """selectors => selectors.map(selector => {
  const e = document.querySelector(selector);
  const rgb = text => text.match(/[0-9.]+/g).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  let ground = e;
  while (ground && (rgb(getComputedStyle(ground).backgroundColor)[3] ?? 1) < 1) ground = ground.parentElement;
  const pair = [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor];
  const [a, b] = pair.map(rgb).map(light).sort((x, y) => y - x);
  return (a + .05) / (b + .05);
})"""


def test_words_stand_out_from_their_ground(desktop: Visit) -> None:
    desktop.page.locator(".about summary").click()
    selectors = ["figcaption", ".number", ".statement", ".steps", "h2", "footer a", "#photo-2 .label"]
    for scheme in ("light", "dark"):
        desktop.page.emulate_media(color_scheme=scheme)
        for selector, ratio in zip(selectors, desktop.page.evaluate(CONTRAST, selectors), strict=True):
            assert ratio >= 4.5, f"{selector} in {scheme}: {ratio:.1f}"


def test_print_shows_photos_labels_and_what_was_done(desktop: Visit) -> None:
    desktop.page.emulate_media(media="print")
    desktop.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert desktop.page.locator("#photo-2 .label").is_visible()
    assert desktop.page.locator(".ledger").is_visible()
    assert not desktop.page.locator("video").is_visible()


def test_without_scripts_photos_are_plain_links(chromium: playwright.Browser, page_url: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_url)
    assert (page.locator("#photo-2 .open").get_attribute("href") or "").endswith("virtually-staged.jpg")
    assert page.locator("#photo-2 .label").is_visible()
    context.close()


def test_paths_and_labels_are_escaped_wherever_they_stand() -> None:
    picture = Picture('a"b<c>.jpg', 3, 2, (("x y.webp", 3),))
    tile = GalleryPhoto(
        1,
        HOSTILE,
        HOSTILE,
        picture,
        label=HOSTILE,
        altered=True,
        comparison=Comparison(picture, HOSTILE, HOSTILE),
        done=(HOSTILE,),
        downloads=((HOSTILE, 'a".jpg'),),
    )
    page = render_gallery(
        GalleryModel(HOSTILE, HOSTILE, Agent(name=HOSTILE, phone=HOSTILE), picture, (tile,), "v.mp4", 'p".jpg')
    )
    assert page.count("<script>") == 1 and 'onerror="' not in page
    assert 'a"b' not in page and "a%22b%3Cc%3E.jpg" in page and "x%20y.webp 3w" in page
    assert "tel:" not in page


def test_a_gallery_without_film_agent_or_alterations_says_only_what_is_there() -> None:
    tile = GalleryPhoto(1, "Kitchen", "Kitchen", Picture("k.jpg", 3, 2))
    page = render_gallery(GalleryModel("Home_7", photos=(tile,)))
    assert "<video" not in page and "<footer>" not in page and 'class="agent' not in page
    assert "Nothing in these photos was added, removed or replaced" in page
    assert "1 photo<" in page and "Delivered as photographed" in page
