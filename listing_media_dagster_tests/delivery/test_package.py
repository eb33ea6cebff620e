"""The package: what is in it, what must never be in it, and what a second one costs."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from listing_media_dagster.delivery.archive import CHECKSUMS
from listing_media_dagster.delivery.package import PackageInput, PackageResult, build_package
from listing_media_dagster.listing import Agent, Listing, Operation, OperationName, Photo, RoomType
from listing_media_dagster_tests.delivery.sample import BALANCED, FAILED, Loads, given, photo

LISTING = Listing(id="Home_7", address="7 Elm Street", agent=Agent(name="An Agent", phone="+1 555 0100"))
R = RoomType


def build(
    folder: Path,
    photos: Sequence[Photo],
    *,
    loads: Loads | None = None,
    outputs: Sequence[str] | None = ("mls", "web"),
    **more: Any,
) -> PackageResult:
    loads = loads or Loads()
    return build_package([given(photo, loads) for photo in photos], LISTING, outputs, folder / "Home_7", **more)


def reusing(folder: Path, result: PackageResult) -> Callable[[str], Path | None]:
    names = result.fingerprints
    return lambda print_: folder / "Home_7" / names[print_] if print_ in names else None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackageResult]:
    folder = tmp_path_factory.mktemp("home")
    video = folder / "cut.mp4"
    video.write_bytes(b"not really a film")
    photos = [photo("k", R.KITCHEN), photo("l", R.LIVING_ROOM, altered=True), photo("f", R.EXTERIOR_FRONT)]
    return folder, build(folder, photos, video=video)


def test_files_lie_where_people_look_for_them(home: tuple[Path, PackageResult]) -> None:
    folder, result = home
    names = {file.name for file in result.files}
    assert {
        "index.html",
        "contact-sheet.jpg",
        "listing-media.json",
        CHECKSUMS,
        "video/tour.mp4",
        "Home_7.zip",
        "photos/mls/01-front-exterior-Home_7.jpg",
        "photos/mls/02-living-room-Home_7-virtually-staged.jpg",
        "photos/mls/03-living-room-Home_7.jpg",
        "photos/web/04-kitchen-Home_7-800.webp",
    } <= names
    on_disk = {str(path.relative_to(folder / "Home_7")) for path in (folder / "Home_7").rglob("*") if path.is_file()}
    assert on_disk == names - {"Home_7.zip"}
    assert result.names == {"k": ("04-kitchen-Home_7",), "f": ("01-front-exterior-Home_7",), "l": result.names["l"]}
    assert result.names["l"] == ("02-living-room-Home_7-virtually-staged", "03-living-room-Home_7")


def test_every_file_is_described_as_it_is(home: tuple[Path, PackageResult]) -> None:
    _, result = home
    for file in result.files:
        data = file.path.read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert file.description and "/" in file.media_type
        if file.media_type.startswith("image/"):
            with Image.open(file.path) as image:
                assert image.get_format_mimetype() == file.media_type


def test_the_zip_holds_the_whole_folder_and_its_checksums_hold(home: tuple[Path, PackageResult]) -> None:
    folder, result = home
    with zipfile.ZipFile(folder / "Home_7.zip") as archive:
        names = set(archive.namelist())
        listed = dict(reversed(line.split("  ")) for line in archive.read(f"Home_7/{CHECKSUMS}").decode().splitlines())
        for name, digest in listed.items():
            assert hashlib.sha256(archive.read(f"Home_7/{name}")).hexdigest() == digest
    assert names == {f"Home_7/{file.name}" for file in result.files if file.name != "Home_7.zip"}
    assert set(listed) == {name.removeprefix("Home_7/") for name in names} - {CHECKSUMS}


def test_the_summary_states_order_rooms_and_disclosures(home: tuple[Path, PackageResult]) -> None:
    folder, _ = home
    summary = json.loads((folder / "Home_7" / "listing-media.json").read_text())
    front, staged, original, kitchen = summary["photos"]
    assert [entry["order"] for entry in summary["photos"]] == [0, 1, 2, 3]
    assert front["image_of"] == "Front of Structure" and kitchen["room"] == "kitchen"
    assert staged["disclosure"]["required"] and staged["disclosure"]["label"] == "Virtually staged"
    assert staged["disclosure"]["media_alteration"] == ["Virtual Staging - Item Addition"]
    assert staged["pair"] == original["name"] and original["disclosure"]["required"] is False
    assert original["disclosure"]["media_alteration"] == ["None"]
    for entry in summary["photos"]:
        for files in entry["files"].values():
            for file in files:
                assert (folder / "Home_7" / file["name"]).exists()


def test_a_rejected_image_is_nowhere_in_the_package(tmp_path: Path) -> None:
    loads = Loads()
    photos = [
        photo("l", R.LIVING_ROOM, altered=True, verdicts=(FAILED,)),
        photo("k", R.KITCHEN, verdicts=(FAILED,)),
        photo("f", R.EXTERIOR_FRONT),
    ]
    result = build(tmp_path, photos, loads=loads)
    assert "l altered" not in loads.asked and "k" not in loads.asked
    assert result.names["k"] == () and len(result.items) == 2
    page = (tmp_path / "Home_7" / "index.html").read_text()
    assert "irtually staged" not in page and "kitchen" not in page.lower()


def test_a_blur_is_never_undone_by_showing_the_photo_as_delivered(tmp_path: Path) -> None:
    blur = Operation(name=OperationName.PRIVACY_BLUR, version="1", parameters={"faces": 1})
    loads = Loads()
    photos = [photo("f", R.EXTERIOR_FRONT, operations=(blur, BALANCED)), photo("k", R.KITCHEN)]
    result = build(tmp_path, photos, loads=loads)
    assert "f before" not in loads.asked and "k before" in loads.asked
    assert "are blurred in 1 photo." in (tmp_path / "Home_7" / "index.html").read_text()
    assert [file.name for file in result.files if "before" in file.name] == [
        "photos/before/02-kitchen-Home_7-before.webp"
    ]


def test_the_same_package_again_costs_no_pixels_and_is_the_same_zip(tmp_path: Path) -> None:
    photos = [photo("k", R.KITCHEN), photo("l", R.LIVING_ROOM, altered=True)]
    first = build(tmp_path / "1", photos)
    loads = Loads()
    second = build(tmp_path / "2", photos, loads=loads, reuse=reusing(tmp_path / "1", first))
    assert loads.asked == []
    assert (second.computed, second.reused) == (0, first.computed) and first.computed > 0
    assert (tmp_path / "1" / "Home_7.zip").read_bytes() == (tmp_path / "2" / "Home_7.zip").read_bytes()


def test_one_photo_more_costs_one_photo_even_when_the_others_are_renumbered(tmp_path: Path) -> None:
    photos = [photo("k", R.KITCHEN), photo("y", R.YARD)]
    first = build(tmp_path / "1", photos)
    loads = Loads()
    second = build(
        tmp_path / "2", [*photos, photo("f", R.EXTERIOR_FRONT)], loads=loads, reuse=reusing(tmp_path / "1", first)
    )
    assert sorted(loads.asked) == ["f", "f before"]
    assert second.names["k"] == ("02-kitchen-Home_7",)
    moved = tmp_path / "2/Home_7/photos/mls/02-kitchen-Home_7.jpg"
    assert moved.read_bytes() == (tmp_path / "1/Home_7/photos/mls/01-kitchen-Home_7.jpg").read_bytes()


def test_a_changed_picture_or_another_size_is_made_anew(tmp_path: Path) -> None:
    first = build(tmp_path / "1", [photo("k", R.KITCHEN)])
    loads = Loads()
    retouched = photo("k", R.KITCHEN, image=photo("other").image)
    again = build(tmp_path / "2", [retouched], loads=loads, reuse=reusing(tmp_path / "1", first))
    assert "other" in loads.asked and again.computed > 0
    loads = Loads()
    larger = build(
        tmp_path / "3",
        [photo("k", R.KITCHEN)],
        loads=loads,
        outputs=["mls", "web", "original"],
        reuse=reusing(tmp_path / "1", first),
    )
    assert (larger.computed, larger.reused) == (1, first.computed) and loads.asked == ["k"]


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    photos = [photo("k", R.KITCHEN), photo("l", R.LIVING_ROOM, altered=True)]
    build(tmp_path, photos, progress=lambda done, total, _name: heard.append((done, total)))
    assert sorted(heard) == [(1, 3), (2, 3), (3, 3)]


def test_nothing_to_deliver_is_an_error_that_names_the_listing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Home_7: there is no photo"):
        build(tmp_path, [photo("k", R.KITCHEN, verdicts=(FAILED,))])
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "Home_7").mkdir()
    (tmp_path / "Home_7" / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match="not empty"):
        build(tmp_path, [photo("k", R.KITCHEN)])
    assert (tmp_path / "Home_7" / "mine.txt").read_text() == "keep"


def test_an_altered_photo_without_its_original_is_refused(tmp_path: Path) -> None:
    altered = given(photo("l", R.LIVING_ROOM, altered=True), Loads())
    with pytest.raises(ValueError, match="original was not given"):
        build_package([PackageInput(altered.photo, altered.publishable)], LISTING, None, tmp_path / "Home_7")


def test_the_agents_logo_is_redrawn_without_what_else_was_in_its_file(tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    Image.new("RGBA", (2000, 500), (10, 20, 30, 128)).save(logo, exif=Image.Exif())
    logo.write_bytes(logo.read_bytes() + b"<script>alert(1)</script>")
    result = build(tmp_path, [photo("k", R.KITCHEN)], logo=logo)
    (drawn,) = (file for file in result.files if file.name == "agent-logo.png")
    assert b"script" not in drawn.path.read_bytes()
    with Image.open(drawn.path) as image:
        assert image.size == (480, 120) and image.mode == "RGBA"
    assert "agent-logo.png" in (tmp_path / "Home_7" / "index.html").read_text()
