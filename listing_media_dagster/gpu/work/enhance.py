"""Enhancement: the listing's common look on each photo, as `photo.enhance` makes it; a model's where one is named.

An item has the input `picture`; `estimate` and `look` (see `photo.look`) are taken from it alone where they aren't
given, `strength` is 1 and `is_exterior` is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.photo.enhance import ListingLook, LookEstimate, agree_on_look, enhance, estimate_look

PICTURE = "picture"
ENHANCED = "enhanced.jpg"
QUALITY = 95


def enhance_pictures(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    if tasks[0].job.model is not None:
        from listing_media_dagster.gpu.work.alter import polish_pictures

        yield from polish_pictures(tasks, bench)
        return
    for task in tasks:
        rgb, asked = decode_picture(task.read(PICTURE)), task.parameters
        estimate = LookEstimate.model_validate(asked["estimate"]) if "estimate" in asked else estimate_look(rgb)
        look = (
            ListingLook.model_validate(asked["look"])
            if "look" in asked
            else agree_on_look({task.item.id: estimate}, None)
        )
        made = enhance(rgb, estimate, look, asked.get("strength", 1.0), asked.get("is_exterior"))
        operations = [operation.model_dump(mode="json") for operation in made.operations]
        yield Made(
            outputs={ENHANCED: encode_jpeg(made.rgb, QUALITY, optimise=False)},
            record={"operations": operations, "metrics": made.metrics},
        )
