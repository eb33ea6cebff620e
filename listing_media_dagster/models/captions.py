"""The words CLIP compares an image with: short captions of what should be visible, and what it should not look like.

Captions are short on purpose: OpenAI's encoder cuts text at 77 tokens, and long generation prompts score lower than
the same picture's plain description.
"""

from __future__ import annotations

from listing_media_dagster.listing import Room, RoomType

ROOM_WORDS: dict[RoomType, str] = {
    RoomType.EXTERIOR_FRONT: "the front of a house",
    RoomType.EXTERIOR_BACK: "the back of a house",
    RoomType.EXTERIOR_SIDE: "the side of a house",
    RoomType.AERIAL: "a house seen from above",
    RoomType.ENTRY: "an entrance hall",
    RoomType.HALLWAY: "a hallway",
    RoomType.STAIRS: "a staircase",
    RoomType.LIVING_ROOM: "a living room",
    RoomType.FAMILY_ROOM: "a family room",
    RoomType.DINING_ROOM: "a dining room",
    RoomType.KITCHEN: "a kitchen",
    RoomType.PRIMARY_BEDROOM: "a bedroom",
    RoomType.BEDROOM: "a bedroom",
    RoomType.CHILDRENS_ROOM: "a children's bedroom",
    RoomType.PRIMARY_BATHROOM: "a bathroom",
    RoomType.BATHROOM: "a bathroom",
    RoomType.HOME_OFFICE: "a home office",
    RoomType.LAUNDRY: "a laundry room",
    RoomType.CLOSET: "a walk-in closet",
    RoomType.BASEMENT: "a basement",
    RoomType.ATTIC: "an attic room",
    RoomType.GARAGE: "a garage",
    RoomType.BALCONY: "a balcony",
    RoomType.PATIO: "a patio",
    RoomType.DECK: "a wooden deck",
    RoomType.POOL: "a swimming pool",
    RoomType.YARD: "a garden",
    RoomType.VIEW: "the view from a home",
    RoomType.FLOOR_PLAN: "a floor plan",
    RoomType.OTHER: "a home",
    RoomType.UNKNOWN: "a home",
}

# What virtual staging puts into each kind of room.
FURNISHED_WITH: dict[RoomType, str] = {
    RoomType.LIVING_ROOM: "a sofa and a rug",
    RoomType.FAMILY_ROOM: "a sofa and a rug",
    RoomType.DINING_ROOM: "a dining table and chairs",
    RoomType.PRIMARY_BEDROOM: "a bed and nightstands",
    RoomType.BEDROOM: "a bed and nightstands",
    RoomType.CHILDRENS_ROOM: "a small bed",
    RoomType.HOME_OFFICE: "a desk and a chair",
    RoomType.BASEMENT: "a sofa and a rug",
    RoomType.ATTIC: "furniture",
    RoomType.ENTRY: "a console table",
    RoomType.PATIO: "outdoor furniture",
    RoomType.DECK: "outdoor furniture",
    RoomType.BALCONY: "outdoor furniture",
}

# Kinds that CLIP can tell apart by sight, each with the words it is known by. Whose bedroom it is, which side of the
# house, or what a bare room will be used for can't be seen, so no photo is ever given such a type by CLIP.
SEEN_AS: dict[RoomType, tuple[str, ...]] = {
    RoomType.EXTERIOR_FRONT: ("the front of a house seen from the street", "the facade of an apartment building"),
    RoomType.AERIAL: ("an aerial drone view of a house and its roof",),
    RoomType.HALLWAY: ("a narrow hallway with doors",),
    RoomType.STAIRS: ("an indoor staircase",),
    RoomType.LIVING_ROOM: ("a living room with a sofa",),
    RoomType.DINING_ROOM: ("a dining room with a table and chairs",),
    RoomType.KITCHEN: ("a kitchen with cabinets and a sink",),
    RoomType.BEDROOM: ("a bedroom with a bed",),
    RoomType.BATHROOM: ("a bathroom with a sink, a toilet or a shower",),
    RoomType.HOME_OFFICE: ("a home office with a desk and a computer",),
    RoomType.LAUNDRY: ("a laundry room with a washing machine",),
    RoomType.CLOSET: ("a walk-in closet with clothes rails and shelves",),
    RoomType.GARAGE: ("the inside of a garage",),
    RoomType.BALCONY: ("a balcony with a railing",),
    RoomType.PATIO: ("a paved patio with outdoor chairs",),
    RoomType.POOL: ("a swimming pool",),
    RoomType.YARD: ("a backyard garden with a lawn",),
    RoomType.FLOOR_PLAN: ("an architectural floor plan drawing",),
    RoomType.UNKNOWN: (
        "an empty unfurnished room",
        "a close-up of a detail in a home",
        "a photo that doesn't show a home",
    ),
}
ROOM_TEMPLATES = ("a photo of {}.", "a real estate photo of {}.")

_LOOKS_WRONG = ("a distorted, blurry photo", "a broken computer rendering")


def caption_for(room: Room, style: str | None, altered: bool) -> str:
    """Return a short caption of what a publishable image of `room` should show.

    `style` (a design kit, for example "modern" or "warm_scandinavian") and furniture are named only where the image
    was `altered` by staging: a photograph is described by its room alone.
    """
    words = ROOM_WORDS[room.type]
    furniture = FURNISHED_WITH.get(room.type)
    if not altered or furniture is None:
        return f"a photo of {words}"
    if style:
        words = _with_adjective(words, style.replace("_", " ").replace("-", " ").strip().lower())
    return f"a photo of {words} with {furniture}"


def contrasts_for(room: Room, altered: bool) -> tuple[str, ...]:
    """Return captions that a publishable image of `room` should fit worse than its own: wrong rooms, wrong looks."""
    own = ROOM_WORDS[room.type]
    others = (RoomType.BATHROOM, RoomType.KITCHEN, RoomType.GARAGE, RoomType.EXTERIOR_FRONT)
    wrong = tuple(f"a photo of {ROOM_WORDS[other]}" for other in others if ROOM_WORDS[other] != own)
    return (*(("a photo of an empty room",) if altered else ()), *wrong, *_LOOKS_WRONG)


def _with_adjective(words: str, adjective: str) -> str:
    article, _, noun = words.partition(" ")
    if article not in ("a", "an"):
        return words
    return f"{'an' if adjective[0] in 'aeiou' else 'a'} {adjective} {noun}" if adjective else words
