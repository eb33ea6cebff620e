"""What a photo shows, as far as its file name says so: `12_Master-Bath2.jpg` does, `IMG_1234.jpg` doesn't."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import PurePosixPath

from listing_media_dagster.listing import Room, RoomType

CONFIDENCE = 0.95  # people mislabel files now and then
VAGUE_CONFIDENCE = 0.6  # "exterior" is the front more often than not

_R = RoomType
_PHRASES: dict[RoomType, str] = {
    _R.EXTERIOR_FRONT: "front; frontal; facade; elevation; exterior; exterior front; front exterior; outside; street; "
    "streetview; street view; curb; curb appeal; kerb appeal; house front; front of house; front view; frontage; "
    "front elevation; front door; hero; twilight; dusk",
    _R.EXTERIOR_BACK: "back; rear; back exterior; exterior back; rear exterior; exterior rear; back of house; "
    "rear of house; back view; rear view; rear elevation; back elevation",
    _R.EXTERIOR_SIDE: "side; side exterior; exterior side; side view; side elevation; side of house",
    _R.AERIAL: "aerial; aerials; drone; uav; birdseye; birds eye; bird eye; aerial view; drone view; birds eye view",
    _R.ENTRY: "entry; entrance; entryway; entry way; foyer; vestibule; lobby; porch; mudroom; mud room; entry hall; "
    "entrance hall; front hall; entrance hallway",
    _R.HALLWAY: "hall; hallway; corridor; landing; passage",
    _R.STAIRS: "stairs; stair; staircase; stairway; stairwell",
    _R.LIVING_ROOM: "living; livingroom; living room; livingrm; living rm; lr; lounge; sitting room; sittingroom; "
    "great room; greatroom; parlor; parlour; reception room; living area; living space; drawing room; living dining; "
    "formal living; sunroom; sun room; conservatory; living room dining room; living room dining",
    _R.FAMILY_ROOM: "family; family room; familyroom; family rm; rec room; recroom; game room; gameroom; games room; "
    "playroom; play room; media room; tv room; den; bonus room; loft; theater room; theatre room; cinema room",
    _R.DINING_ROOM: "dining; diningroom; dining room; dining rm; dining area; dinning; dinning room; dr; dinette; "
    "breakfast nook; breakfast room; breakfast area; formal dining",
    _R.KITCHEN: "kitchen; kitch; kit; kitchenette; pantry; kitchen diner; kitchen dining; kitchen dining room; "
    "kitchen living; kitchen living room",
    _R.PRIMARY_BEDROOM: "master; primary; mbr; master bed; master bedroom; masterbed; masterbedroom; master bed room; "
    "primary bed; primary bedroom; primarybedroom; primary bed room; principal bedroom; main bedroom; main bed; "
    "owners suite; owner suite; owners bedroom; master suite; primary suite; bedroom master; bedroom primary",
    _R.BEDROOM: "bed; beds; bedroom; bedrooms; bed room; bedrm; bdrm; bdr; br; guest room; guestroom; guest suite; "
    "spare room",
    _R.CHILDRENS_ROOM: "nursery; kids; kids room; kid room; kids bedroom; kid bedroom; childrens room; child room; "
    "children room; childs room; childrens bedroom; children bedroom; child bedroom; childs bedroom; boys room; "
    "girls room; boys bedroom; girls bedroom; baby room",
    _R.PRIMARY_BATHROOM: "master bath; master bathroom; masterbath; masterbathroom; master bath room; primary bath; "
    "primary bathroom; primarybath; primary bath room; mbath; en suite; ensuite; owners bath; main bath; "
    "main bathroom; bathroom master; bathroom primary; ensuite bathroom; en suite bathroom; ensuite bath; "
    "master shower; primary shower; master bedroom bath; master bedroom bathroom; primary bedroom bathroom",
    _R.BATHROOM: "bath; baths; bathroom; bathrooms; bath room; bathrm; ba; wc; toilet; washroom; restroom; powder; "
    "powder room; powderroom; shower; shower room; cloakroom; lavatory; loo; jack and jill",
    _R.HOME_OFFICE: "office; homeoffice; study; workspace; library",
    _R.LAUNDRY: "laundry; laundryroom; laundry room; laundry area; utility; utility room; utilityroom; washer; dryer",
    _R.CLOSET: "closet; closets; wardrobe; wardrobes; dressing room; dressing area; walk in; walkin; wic",
    _R.BASEMENT: "basement; cellar; lower level",
    _R.ATTIC: "attic; loft space; loft conversion",
    _R.GARAGE: "garage; carport; car port; garage door",
    _R.BALCONY: "balcony; loggia",
    _R.PATIO: "patio; terrace; courtyard; lanai; veranda; verandah; pergola; gazebo; rooftop; outdoor kitchen; "
    "outdoor dining; outdoor living; screened porch; back porch; rear porch; side porch",
    _R.DECK: "deck; decking",
    _R.POOL: "pool; hot tub; jacuzzi; pool area; pool deck; pool patio",
    _R.YARD: "yard; backyard; frontyard; sideyard; garden; gardens; lawn; grounds; landscaping",
    _R.VIEW: "view; views; vista; skyline; ocean view; sea view; lake view; city view; mountain view; garden view; "
    "pool view; balcony view; deck view; water view",
    _R.FLOOR_PLAN: "floorplan; floorplans; floor plan; floor plans; site plan; siteplan; blueprint; plan",
}
# Words that name a room only in a name without any other word: 'back' is a direction, 'dr' a street, 'master' a file.
_ONLY_ALONE = frozenset(
    re.findall(
        r"\w+",
        "front back side rear street view views plan family primary master living kit br dr lr ba den hero outside ",
    )
)
_BY_PHRASE = {tuple(phrase.split()): room for room, text in _PHRASES.items() for phrase in text.split("; ")}
_LONGEST = max(map(len, _BY_PHRASE))
# What cameras, phones, exporters and people add to any name.
_NOISE = frozenset(
    re.findall(
        r"\w+",
        "img image images dsc dscn dscf pxl mvi p photo photos pic picture copy edit edited final hdr web mls "
        "print large small full size hires lowres high low res resized original orig export raw merged "
        "enhanced retouched staged virtually virtual staging unbranded branded interior inside home house "
        "property listing the a and in no nr new v px x jpg jpeg ev before after wide angle shot number first "
        "second third ground floor upper empty vacant furnished upstairs downstairs ",
    )
)
_VAGUE = frozenset({"exterior", "outside", "twilight", "dusk", "hero", "street"})
_TURNS_AWAY = frozenset(
    re.findall(
        r"\w+",
        "from to towards toward into with off near by through via over ",
    )
)
_STREETS = frozenset(
    re.findall(
        r"\w+",
        "st street rd road ln lane ct court ave avenue dr drive pl place blvd crescent sq square hwy ",
    )
)


def room_from_file_name(name: str) -> Room:
    """Return the room a file name names, else an unknown one decided by nobody.

    Words count only as a whole ('bedford-7.jpg' shows no bed) and not as part of an address ('12-garden-road.jpg').
    The last room named is the one shown ('master-bedroom-balcony'), up to a word that turns away ('view from deck').
    Folders are asked, innermost first, when the file itself says nothing ('kitchen/IMG_2.jpg').
    """
    path = PurePosixPath(name.replace("\\", "/"))
    stem = re.sub(r"\.[A-Za-z0-9]{2,5}$", "", path.name)
    for part in (stem, *reversed(path.parts[:-1])):
        room = _room_in(_words(part))
        if room is not None:
            confidence = VAGUE_CONFIDENCE if _VAGUE & set(_words(part)) and room is _R.EXTERIOR_FRONT else CONFIDENCE
            return Room(type=room, confidence=confidence, decided_by="file name")
    return Room()


def _words(text: str) -> list[str]:
    text = re.sub(r"['’]", "", text)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)  # MasterBath
    text = re.sub(r"(?<=[A-Z])(?=[A-Z][a-z]{2})", " ", text)  # MLSKitchen
    return re.findall(r"[a-z]+", text.lower())


def _room_in(words: list[str]) -> RoomType | None:
    words = list(takewhile(lambda word: word not in _TURNS_AWAY, words))
    in_address = {at + offset for at, word in enumerate(words) if at and word in _STREETS for offset in (-1, 0)}
    words = [word for at, word in enumerate(words) if at not in in_address]
    telling = [word for word in words if word not in _NOISE]
    for source in (words, telling):
        for end in range(len(source), 0, -1):
            for start in range(max(0, end - _LONGEST), end):
                phrase = tuple(source[start:end])
                if len(phrase) == 1 and phrase[0] in _ONLY_ALONE and len(telling) > 1:
                    continue
                if phrase in _BY_PHRASE:
                    return _BY_PHRASE[phrase]
    return None
