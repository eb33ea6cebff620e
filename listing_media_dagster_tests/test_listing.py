import pytest

from listing_media_dagster.listing import (
    BadListing,
    Listing,
    Photo,
    SourceFile,
    StoredImage,
    Verdict,
    check_listing_id,
    fingerprint,
    photo_id_for,
)

DIGEST = "ab" * 32


def an_image(key: str = "k.jpg") -> StoredImage:
    return StoredImage(key=key, sha256=DIGEST, size=10, width=4, height=3)


def a_photo(**changes: object) -> Photo:
    return Photo(
        photo_id="kitchen-abababab",
        sources=(SourceFile(name="day 2/Kitchen.JPG", key="k.jpg", sha256=DIGEST),),
        image=an_image(),
    ).model_copy(update=changes)


@pytest.mark.parametrize("text", ["a", "House_42-b", "9", "x" * 64])
def test_ordinary_ids_name_a_listing(text):
    assert check_listing_id(text) == text


@pytest.mark.parametrize("text", ["", "-a", "_a", "a b", "a/b", "../x", "a,b", "a...b", "x" * 65, "ä", "a\n"])
def test_an_id_that_could_leave_its_folder_or_break_the_ui_is_refused_by_name(text):
    with pytest.raises(BadListing, match="can't be a listing id"):
        check_listing_id(text)


def test_photo_ids_are_stable_readable_and_tell_contents_apart():
    assert photo_id_for("day 2/IMG 0412 (Küche).JPG", DIGEST) == "img-0412-k-che-abababab"
    assert photo_id_for("???.png", DIGEST) == "photo-abababab"
    assert photo_id_for("a.jpg", DIGEST) != photo_id_for("a.jpg", "cd" * 32)


def test_a_person_may_name_a_photo_by_id_or_file_with_or_without_folder():
    assert a_photo().names == {"kitchen-abababab", "day 2/Kitchen.JPG", "Kitchen.JPG"}


def test_a_rejected_altered_image_is_published_as_its_base():
    failed = Verdict(gate="structure", outcome="failed")
    photo = a_photo(base=an_image("base.jpg"), verdicts=(failed,))
    assert photo.publishable_image.key == "base.jpg"
    assert not photo.publishes_altered


def test_a_rejected_photograph_is_not_published_and_an_ungated_verdict_decides_nothing():
    failed = Verdict(gate="clip", outcome="failed")
    assert a_photo(verdicts=(failed,)).publishable_image is None
    informative = failed.model_copy(update={"gates": False})
    assert a_photo(verdicts=(informative,)).publishable_image == an_image()


def test_a_run_overrides_only_what_it_states_and_is_validated():
    listing = Listing(id="h", style="modern", strength=0.5)
    assert listing.overridden_by(style=None, strength=0.8) == Listing(id="h", style="modern", strength=0.8)
    with pytest.raises(ValueError, match="less than or equal to 1"):
        listing.overridden_by(strength=2)


def test_fingerprints_ignore_the_order_of_keys_but_nothing_else():
    assert fingerprint(a=1, b=[1, 2]) == fingerprint(b=[1, 2], a=1)
    assert fingerprint(a=1) != fingerprint(a="1")
    assert fingerprint(b=[1, 2]) != fingerprint(b=[2, 1])
