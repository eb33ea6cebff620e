"""Staging and the CLIP gate: what is furnished, what passes, and that nothing rejected is ever delivered."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from listing_media_dagster.assets import clip, clip_scores, furnishing, rooms, staging_job
from listing_media_dagster.assets.clip_scores import clip_check
from listing_media_dagster.gpu.routes import here
from listing_media_dagster.gpu.work import stage
from listing_media_dagster.gpu.work.score import scorer_key
from listing_media_dagster.gpu.work.staging_order import BackEndRef
from listing_media_dagster.listing import Operation, OperationName, RoomType, Verdict
from listing_media_dagster.models.clip import ClipScorer
from listing_media_dagster.settings import Settings
from listing_media_dagster.staging.back_ends import CannotStage, StagedRoom, StagingRequest
from listing_media_dagster_tests.helpers.pipeline import Pipeline, draw_room, failure_of, write_rooms
from listing_media_dagster_tests.helpers.tiny_clip import Lesson, save_tiny_clip
from listing_media_dagster_tests.test_listing import a_photo, an_image

UNTIL_GATE = ("raw_photos", "preprocessed_photos", "enhanced_photos", "staged_photos", "clip_scores")


class PaintsASofa:
    """A back end that executes: it paints one green sofa, and refuses or rejects what it is told to."""

    name = "paints-a-sofa"

    def __init__(self, refuses: str | None = None, rejects: frozenset[int] = frozenset()) -> None:
        self.refuses = refuses
        self.rejects = rejects
        self.seeds: list[int] = []
        self.requests: list[StagingRequest] = []

    def version_for(self, kit):
        return "1"

    def survey(self, request):
        if self.refuses:
            raise CannotStage(self.refuses, {"geometry.jpg": b"what was found"})
        self.requests.append(request)
        return Painted(self, request)


@dataclass
class Painted:
    end: PaintsASofa
    request: StagingRequest

    def furnish(self, seed, progress):
        progress("painting")
        self.end.seeds.append(seed)
        staged = self.request.base.copy()
        height, width = staged.shape[:2]
        cv2.rectangle(staged, (width // 4, height // 2), (3 * width // 4, height - 10), (30, 160, 60), -1)
        done = Operation(name=OperationName.VIRTUAL_STAGING, version="1", seed=seed, generative=True)
        verdict = Verdict(
            gate="structure", outcome="failed" if seed in self.end.rejects else "passed", reason="a door has moved"
        )
        return StagedRoom(
            staged, (done,), RoomType.LIVING_ROOM, "a photo of a living room with a green sofa", (verdict,),
            {"layout.json": b"{}"},
        )  # fmt: skip


@pytest.fixture
def staging(monkeypatch):
    def use(*ends):
        planned = tuple(furnishing.PlannedBackEnd(BackEndRef(name=end.name), end.version_for) for end in ends)
        monkeypatch.setattr(furnishing, "installed_back_ends", lambda *models: planned)
        for end in ends:
            monkeypatch.setitem(stage.BACK_ENDS, end.name, lambda *asked, end=end: end)

    return use


@pytest.fixture
def scoring(monkeypatch, tmp_path):
    """Make every picture of the test's listing score with a tiny real encoder that learnt `lessons`."""

    def use(*lessons):
        folder = save_tiny_clip(tmp_path / "clip", lessons, any_caption=True)
        scorer = ClipScorer.load(folder, allow_test_weights=True)
        monkeypatch.setattr(clip_scores, "load_scorer", lambda: scorer)
        here.models_here().get(scorer_key(clip.model_ref(scorer.identity)), lambda: scorer)
        monkeypatch.setattr(rooms, "load_scorer", lambda: clip.NoScorer("rooms are named in these tests"))

    return use


@pytest.fixture
def pipeline(tmp_path):
    return Pipeline(str(tmp_path / "media"))


@pytest.fixture
def living_room(tmp_path):
    drop = write_rooms(tmp_path / "drop", ["living-room.jpg"])
    (drop / "listing.yaml").write_text("stage: {include: [living-room.jpg]}\n")
    return drop


def staged_picture(pipeline, living_room):
    assert pipeline.run(*UNTIL_GATE[:-1], source=living_room).success
    (photo,) = pipeline.photo_set("staged_photos").photos
    encoded = np.frombuffer(pipeline.store.read(photo.image.key), np.uint8)
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_without_a_back_end_the_base_passes_on_with_the_reason(pipeline, living_room, staging):
    staging()
    assert pipeline.run(*UNTIL_GATE, source=living_room).success
    (photo,) = pipeline.photo_set("staged_photos").photos
    assert not photo.is_altered
    assert photo.facts["not_staged"] == "to be staged, but no staging back end is installed"


def test_a_refusal_is_recorded_with_what_was_made_of_the_photo(pipeline, living_room, staging):
    staging(PaintsASofa(refuses="the floor can't be seen"))
    assert pipeline.run(*UNTIL_GATE, source=living_room).success
    (photo,) = pipeline.photo_set("staged_photos").photos
    assert photo.facts["not_staged"] == "the floor can't be seen"
    assert pipeline.store.read(photo.attachments["geometry.jpg"].key) == b"what was found"


def test_a_rejected_room_is_tried_again_with_the_next_seeds_and_the_first_good_one_is_kept(
    pipeline, living_room, staging
):
    end = PaintsASofa(rejects=frozenset({0, 1}))
    staging(end)
    assert pipeline.run(*UNTIL_GATE[:-1], source=living_room).success
    (photo,) = pipeline.photo_set("staged_photos").photos
    assert end.seeds == [0, 1, 2]
    assert photo.publishes_altered
    tried = photo.facts["staged_as"]["attempts"]
    assert [attempt.get("rejected") for attempt in tried] == ["a door has moved", "a door has moved", None]


def test_a_room_that_no_seed_furnishes_well_is_delivered_as_its_base(pipeline, living_room, staging):
    end = PaintsASofa(rejects=frozenset(range(10)))
    staging(end)
    assert pipeline.run(source=living_room).success
    (photo,) = pipeline.photo_set("staged_photos").photos
    assert end.seeds == [0, 1, 2, 3]
    assert photo.failed and photo.publishable_image == photo.base
    names = {file.name for file in pipeline.photo_set("listing_package").deliverables}
    assert not [name for name in names if "staged" in name]


def test_views_of_one_room_share_their_furniture_and_a_photo_may_have_a_kit_of_its_own(pipeline, tmp_path, staging):
    end = PaintsASofa()
    staging(end)
    drop = write_rooms(tmp_path / "drop", ["living-room-1.jpg", "living-room-2.jpg", "bedroom.jpg"])
    everything = "[living-room-1.jpg, living-room-2.jpg, bedroom.jpg]"
    (drop / "listing.yaml").write_text(
        f"style: japandi\nstage: {{include: {everything}, kits: {{bedroom.jpg: coastal}}}}\n"
    )
    assert pipeline.run(*UNTIL_GATE[:-1], source=drop).success
    asked = {request.photo_id.rsplit("-", 1)[0]: request for request in end.requests}
    assert asked["living-room-1"].pieces_seed == asked["living-room-2"].pieces_seed != asked["bedroom"].pieces_seed
    assert (asked["living-room-1"].kit, asked["bedroom"].kit) == ("japandi", "coastal")


def test_an_unknown_kit_is_refused_before_any_photo_is_read_and_the_known_ones_are_named(
    pipeline, living_room, staging
):
    staging(PaintsASofa())
    (living_room / "listing.yaml").write_text("style: rococo\n")
    assert "no design kit is called 'rococo'; there are coastal" in failure_of(pipeline.run(source=living_room))


def test_a_cancelled_staging_goes_on_with_the_photos_it_has_not_made(pipeline, tmp_path, staging):
    drop = write_rooms(tmp_path / "drop", ["living-room.jpg", "bedroom.jpg"])
    (drop / "listing.yaml").write_text("stage: {include: [living-room.jpg, bedroom.jpg]}\n")
    assert pipeline.run(*UNTIL_GATE[:-2], source=drop).success

    class IsCancelled(PaintsASofa):
        def survey(self, request):
            if self.seeds:
                raise KeyboardInterrupt
            return super().survey(request)

    staging(IsCancelled())
    assert not pipeline.run("staged_photos").success
    end = PaintsASofa()
    staging(end)
    assert pipeline.run("staged_photos").success
    assert len(end.requests) == 1
    assert all(photo.is_altered for photo in pipeline.photo_set("staged_photos").photos)


def test_a_staged_room_stays_paired_with_its_base_and_its_ledger_says_so(pipeline, living_room, staging):
    staging(PaintsASofa())
    assert pipeline.run(*UNTIL_GATE, source=living_room).success
    (photo,) = pipeline.photo_set("staged_photos").photos
    (base,) = pipeline.photo_set("enhanced_photos").photos
    assert photo.base == base.image
    assert photo.operations[-1].name == OperationName.VIRTUAL_STAGING
    assert pipeline.store.read(photo.attachments["layout.json"].key) == b"{}"


def test_a_staged_room_above_the_threshold_is_delivered_beside_its_original(pipeline, living_room, staging, scoring):
    staging(PaintsASofa())
    picture = staged_picture(pipeline, living_room)
    scoring(Lesson(picture, "any", 0.5), Lesson(draw_room(99), "any", 0.0))
    result = pipeline.run(source=living_room)
    assert result.success, failure_of(result)
    names = {file.name for file in pipeline.photo_set("listing_package").deliverables}
    assert "photos/mls/01-living-room-house-1.jpg" in names
    assert "photos/mls/02-living-room-house-1-virtually-staged.jpg" in names


def test_a_listing_whose_only_staged_room_fails_is_blocked_before_the_film(pipeline, living_room, staging, scoring):
    staging(PaintsASofa())
    picture = staged_picture(pipeline, living_room)
    scoring(Lesson(picture, "any", 0.1), Lesson(draw_room(99), "any", 0.6))
    result = pipeline.run(source=living_room)
    assert not result.success
    assert not result.asset_materializations_for_node("tour_video")
    (check,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "clip_threshold"]
    assert "1 of 1 gated images are below 0.75" in check.description


def test_a_rejected_room_is_delivered_as_its_base_even_by_a_later_run(
    pipeline, living_room, staging, scoring, monkeypatch
):
    staging(PaintsASofa())
    picture = staged_picture(pipeline, living_room)
    scoring(Lesson(picture, "any", 0.1), Lesson(draw_room(99), "any", 0.6))
    pipeline.run(*UNTIL_GATE, source=living_room)
    assert pipeline.run("tour_video", "listing_package").success
    names = {file.name for file in pipeline.photo_set("listing_package").deliverables}
    assert not [name for name in names if "staged" in name]
    assert "photos/mls/01-living-room-house-1.jpg" in names


def test_a_score_keeps_what_it_was_made_with(pipeline, living_room, staging, scoring):
    staging(PaintsASofa())
    picture = staged_picture(pipeline, living_room)
    scoring(Lesson(picture, "any", 0.5), Lesson(draw_room(99), "any", 0.0))
    assert pipeline.run(*UNTIL_GATE, source=living_room).success
    (photo,) = pipeline.photo_set("clip_scores").photos
    (verdict,) = [verdict for verdict in photo.verdicts if verdict.gate == "clip"]
    assert verdict.outcome == "passed"
    assert verdict.score == pytest.approx(1.25, abs=0.1)
    assert {"caption", "cosine", "weights_sha256", "formula"} <= set(verdict.evidence)
    assert verdict.evidence["caption"] == "a photo of a living room with a green sofa"


def test_what_the_ladder_of_seeds_scored_is_not_scored_again(pipeline, living_room, staging, scoring, monkeypatch):
    staging(PaintsASofa())
    picture = staged_picture(pipeline, living_room)
    scoring(Lesson(picture, "any", 0.5), Lesson(draw_room(99), "any", 0.0))
    encoder = clip.model_ref(clip_scores.load_scorer().identity)
    monkeypatch.setattr(staging_job, "find_scorer", lambda: encoder)
    monkeypatch.setattr(PaintsASofa, "version_for", lambda self, kit: "2")
    staging(PaintsASofa())
    assert pipeline.run("staged_photos").success
    (photo,) = pipeline.photo_set("staged_photos").photos
    assert photo.facts["staged_as"]["attempts"][0]["score"] == pytest.approx(1.25, abs=0.1)
    monkeypatch.setattr(ClipScorer, "score", lambda *asked: pytest.fail("scored again"))
    result = pipeline.run("clip_scores")
    assert result.success, failure_of(result)
    (verdict,) = [verdict for verdict in pipeline.photo_set("clip_scores").photos[0].verdicts if verdict.gate == "clip"]
    assert verdict.outcome == "passed" and verdict.gates


def test_a_photograph_is_gated_too_where_the_installation_wants_it(pipeline, living_room, scoring, monkeypatch):
    drop = living_room
    assert pipeline.run(*UNTIL_GATE[:-1], source=drop).success
    encoded = np.frombuffer(pipeline.store.read(pipeline.photo_set("staged_photos").photos[0].image.key), np.uint8)
    picture = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    scoring(Lesson(picture, "any", 0.1), Lesson(draw_room(99), "any", 0.6))
    monkeypatch.setattr(clip_scores, "settings", lambda: Settings(clip_gate="all"))
    result = pipeline.run(*UNTIL_GATE, source=drop)
    assert not result.success
    assert pipeline.photo_set("clip_scores").photos[0].publishable_image is None


def verdict(outcome, gates=True):
    return Verdict(gate="clip", outcome=outcome, gates=gates, reason="why")


@pytest.mark.parametrize(
    ("outcomes", "settings", "passed", "severity"),
    [
        (["passed", "passed"], {}, True, "WARN"),
        (["passed", "failed"], {}, False, "WARN"),
        (["passed", "failed", "failed"], {}, False, "ERROR"),
        (["passed", "failed"], {"clip_strict": True}, False, "ERROR"),
        (["passed", "failed"], {"clip_min_pass_share": 0.6}, False, "ERROR"),
        (["not_scored"], {}, False, "WARN"),
        (["not_scored"], {"clip_strict": True}, False, "ERROR"),
        ([], {}, True, "WARN"),
    ],
)
def test_the_check_blocks_when_too_few_pass_and_warns_when_any_was_withheld(outcomes, settings, passed, severity):
    photos = [a_photo(base=an_image("base.jpg"), verdicts=(verdict(outcome),)) for outcome in outcomes]
    check = clip_check(photos, Settings(**settings))
    assert (check.passed, check.severity.value) == (passed, severity)


def test_a_photograph_below_the_threshold_blocks_nothing_unless_all_are_gated():
    photo = a_photo(verdicts=(verdict("failed", gates=False),))
    assert clip_check([photo], Settings()).passed
    gated = a_photo(verdicts=(verdict("failed"),))
    assert clip_check([gated], Settings()).severity.value == "ERROR"
