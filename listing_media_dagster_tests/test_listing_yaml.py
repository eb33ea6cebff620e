import pytest
from hypothesis import given
from hypothesis import strategies as st

from listing_media_dagster.listing import BadListing, RoomType
from listing_media_dagster.listing_yaml import parse_listing_yaml

WHOLE = b"""\
id: house-42
address: 12 Sample Street, Springfield
headline: Light on three sides
agent: {name: Sample Realty, phone: "+1 555 0100", logo: logo.png}
style: japandi
strength: 0.8
rooms:
  DSC_0412.JPG: kitchen
stage:
  include: [DSC_0413.JPG]
exclude: [test.jpg]
outputs: [mls, web]
rule_profile: crmls
callback_url: https://example.org/done
priority: 3
music: waltz.ogg
"""


def test_everything_the_design_names_can_be_said():
    listing = parse_listing_yaml(WHOLE, "house-42")
    assert listing.address == "12 Sample Street, Springfield"
    assert listing.rooms == {"DSC_0412.JPG": RoomType.KITCHEN}
    assert (listing.agent.phone, listing.stage.include, listing.outputs) == (
        "+1 555 0100",
        ("DSC_0413.JPG",),
        ("mls", "web"),
    )


def test_generative_changes_are_made_to_the_named_files_or_to_all_and_to_none_unasked():
    text = b"generative: {declutter: [IMG_7.JPG], enhance: all, upscale: [IMG_8.JPG]}"
    asked = parse_listing_yaml(text, "h").generative
    assert (asked.declutter, asked.enhance, asked.upscale) == (("IMG_7.JPG",), ("all",), ("IMG_8.JPG",))
    assert asked.names == {"IMG_7.JPG", "IMG_8.JPG"}
    nothing = parse_listing_yaml(b"", "h").generative
    assert (nothing.declutter, nothing.enhance, nothing.upscale) == ((), (), ())


@pytest.mark.parametrize("text", [b"", b"# only a comment\n", b"---\n"])
def test_an_empty_file_says_nothing(text):
    assert parse_listing_yaml(text, "h").id == "h"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"address: x\nadress: y", r"line 2: unknown key 'adress'; did you mean 'address'\?"),
        (b"agent:\n  nam: z", r"line 2: unknown key 'agent.nam'; did you mean 'name'\?"),
        (b"generative:\n  enhanse: all", r"line 2: unknown key 'generative.enhanse'; did you mean 'enhance'\?"),
        (b"generative:\n  enhance: yes please", "line 2: generative.enhance: .*a list of file names, or the word all"),
        (b"generative:\n  declutter: all", r"line 2: generative.declutter: .*\(given: 'all'\)"),
        (b"zzz: 1", "line 1: unknown key 'zzz'; known keys: address"),
        (b"rooms:\n  a.jpg: kitchn", r"line 2: rooms.a.jpg: 'kitchn' is unknown; did you mean 'kitchen'\?"),
        (b"rooms:\n  a.jpg: Living room", r"'Living room' is unknown; did you mean 'living_room'\?"),
        (b"rooms:\n  a.jpg: zzz", "'zzz' is unknown; there is exterior_front, .*living_room"),
        (b"address: x\noutputs: [mls, huge]", "line 2: outputs: 'huge' is unknown; there is original, print, mls"),
        (b"routes:\n- cpu\n- gpu", "line 3: routes: 'gpu' is unknown; there is cuda, cpu, celery"),
        (b"address: x\nstrength: 3", r"line 2: strength: .*\(given: 3\)"),
        (b"address: x\naddress: y", "line 2: 'address' is given twice"),
        (b"id: other", "line 1: id is 'other' but the drop is for listing 'h'"),
        (b"a: [", "line 1: not valid YAML"),
        (b"- x", "line 1: expected `key: value` lines"),
        (b"a: &a 1\nb: *a", r"line 2: aliases \(\*name\) are not supported"),
        (b"callback_url: ftp://x", "must start with https"),
        (b"address: !!python/object:os.system x", "could not determine a constructor"),
        (b"? [a]\n: b", "a key must be plain text"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"x" * 70_000, "70000 bytes"),
        (
            b"stage:\n  include: [a.jpg]\n  exclude: [b.jpg, a.jpg]",
            "lines 3 and 2: 'a.jpg' is in both stage.include and stage.exclude; take it out of one",
        ),
        (
            b"exclude:\n  - a.jpg\nstage: {kits: {a.jpg: japandi}}",
            "lines 2 and 3: 'a.jpg' is in both stage.kits and exclude",
        ),
        (
            b"stage:\n  same_room:\n  - [a.jpg, b.jpg]\n  - [c.jpg, a.jpg]",
            "lines 3 and 4: 'a.jpg' is in two groups of stage.same_room",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_would_be_right(text, complaint):
    with pytest.raises(BadListing, match=complaint):
        parse_listing_yaml(text, "h")


def test_photos_may_be_named_in_several_keys_that_agree():
    text = b"stage: {include: [a.jpg], exclude: [b.jpg], kits: {a.jpg: japandi}, same_room: [[a.jpg, a.jpg, c.jpg]]}"
    assert parse_listing_yaml(text, "h").stage.kits == {"a.jpg": "japandi"}


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_clear_refusal(text):
    try:
        assert parse_listing_yaml(text, "h").id == "h"
    except BadListing as refused:
        assert str(refused).startswith("listing.yaml")
