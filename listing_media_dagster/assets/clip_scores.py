"""clip_scores: how well each image shows what it should, and which images a delivery may use."""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg

from listing_media_dagster.assets.clip import NoScorer, load_scorer, model_ref
from listing_media_dagster.assets.contact import with_contact_sheet
from listing_media_dagster.assets.model_work import run_job
from listing_media_dagster.assets.scoring_job import scoring_job
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import ItemResult
from listing_media_dagster.gpu.model_router import ModelRouter, routing_metadata
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.listing import Photo, PhotoSet, Verdict
from listing_media_dagster.models import clip
from listing_media_dagster.models.clip import ClipScorer, caption_for, judge
from listing_media_dagster.settings import Settings, settings
from listing_media_dagster.store.photo_sets import MediaStoreResource


@stage_asset(
    description="CLIPScore (2.5·max(cos, 0), OpenAI ViT-B/32) and verdict of every image: the gate of a delivery.",
    kinds={"pytorch"},
    code_version="1",
    gpu="optional",
    checks={
        "clip_threshold": "Blocks the delivery when too few gated images reach the threshold; warns of one withheld."
    },
    blocking=frozenset({"clip_threshold"}),
)
def clip_scores(
    context: dg.AssetExecutionContext, staged_photos: PhotoSet, media: MediaStoreResource, router: ModelRouter
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media)
    scorer = load_scorer()
    routed: Routed | None = None
    if isinstance(scorer, NoScorer):
        stage.say(f"not scored: {scorer.reason}")
        photos = [_not_scored(photo, scorer) for photo in staged_photos.photos]
    else:
        wanted = _wanted(staged_photos, scorer, stage)
        verdicts = {**_verdicts_of_the_ladder(staged_photos, scorer), **_earlier_verdicts(wanted, stage)}
        missing = [photo for photo in staged_photos.photos if photo.photo_id not in verdicts]
        stage.reused += len(staged_photos.photos) - len(missing)
        if missing:
            made, routed = _score(missing, staged_photos, scorer, stage, context, router)
            verdicts |= made
        photos = [_with_verdict(photo, verdicts[photo.photo_id], wanted) for photo in staged_photos.photos]
    photo_set = PhotoSet(listing=staged_photos.listing, asset=stage.asset, photos=tuple(photos))
    check = clip_check(photos, settings())
    photo_set = stage.finish(with_contact_sheet(photo_set, stage), [check])
    scores = [verdict.score for photo in photos for verdict in photo.verdicts if verdict.score is not None]
    mean = {"mean_score": round(sum(scores) / len(scores), 3)} if scores else {}
    return dg.MaterializeResult(
        value=photo_set,
        metadata={**stage_metadata(photo_set, stage, **mean), **(routing_metadata(routed) if routed else {})},
        check_results=[check],
    )


def _not_scored(photo: Photo, missing: NoScorer) -> Photo:
    if any(verdict.gate == "clip" for verdict in photo.verdicts):
        return photo  # scored where it was staged
    verdict = Verdict(gate="clip", outcome="not_scored", reason=missing.reason, gates=photo.is_altered)
    return photo.model_copy(update={"verdicts": (*photo.verdicts, verdict)})


def _wanted(staged: PhotoSet, scorer: ClipScorer, stage: StageRun) -> dict[str, str]:
    """Return each photo's fingerprint: image, caption, encoder and threshold."""
    return {
        photo.photo_id: stage.fingerprint(
            image=photo.image.sha256,
            caption=_caption_of(photo, staged),
            scorer=scorer.identity.model_dump(mode="json"),
            threshold=settings().clip_threshold,
            version=clip.VERSION,
        )
        for photo in staged.photos
    }


def _with_verdict(photo: Photo, verdict: Verdict, wanted: Mapping[str, str]) -> Photo:
    verdicts = (*_without_clip(photo.verdicts), _gated(verdict, photo))
    return photo.model_copy(update={"verdicts": verdicts, "fingerprint": wanted[photo.photo_id]})


def _caption_of(photo: Photo, of: PhotoSet) -> str:
    """Return what should be visible: of a staged room what it was furnished with, of a photograph its room."""
    style = str(of.parameters.get("style", ""))
    staged = photo.facts.get("staged_as")
    return str(staged["caption"]) if staged else caption_for(photo.room, style or None, photo.is_staged)


def _earlier_verdicts(wanted: dict[str, str], stage: StageRun) -> dict[str, Verdict]:
    """Return the verdicts of an earlier run on the same image, caption, encoder and threshold."""
    earlier = stage.previous.photos if stage.previous else ()
    return {
        photo.photo_id: verdict
        for photo in earlier
        if wanted.get(photo.photo_id) == photo.fingerprint
        for verdict in photo.verdicts
        if verdict.gate == "clip" and verdict.score is not None
    }


def _verdicts_of_the_ladder(staged: PhotoSet, scorer: ClipScorer) -> dict[str, Verdict]:
    """Return verdicts from the scores that this very encoder gave the same pictures while they were staged."""
    verdicts = {}
    for photo in staged.photos:
        for kept in photo.verdicts:
            of = (kept.evidence.get("weights_sha256"), kept.evidence.get("caption"))
            if kept.gate != "clip" or kept.score is None:
                continue
            if of == (scorer.identity.weights_sha256, _caption_of(photo, staged)):
                verdict = judge(kept.score, settings().clip_threshold, scorer.identity)
                verdicts[photo.photo_id] = verdict.model_copy(update={"evidence": kept.evidence})
    return verdicts


def _score(
    photos: Sequence[Photo],
    of: PhotoSet,
    scorer: ClipScorer,
    stage: StageRun,
    context: dg.AssetExecutionContext,
    router: ModelRouter,
) -> tuple[dict[str, Verdict], Routed]:
    """Score the pictures of `photos` where the router lets them be scored."""
    captions = {photo.photo_id: _caption_of(photo, of) for photo in photos}
    staged = {photo.photo_id: photo.is_staged for photo in photos}
    job, files = scoring_job(photos, captions, staged, model_ref(scorer.identity), stage)
    verdicts: dict[str, Verdict] = {}

    def take(route: str, result: ItemResult, read: Callable[[str], bytes]) -> None:
        made = result.record
        verdict = judge(made["score"], settings().clip_threshold, scorer.identity)
        seen = {"caption": captions[result.item_id], "cosine": made["cosine"], "contrast": made["contrast"]}
        verdicts[result.item_id] = verdict.model_copy(update={"evidence": {**verdict.evidence, **seen}})
        stage.tell_made(result.item_id, len(of.photos))

    routed = run_job(router, context, job, files, take, stage, of.listing)
    return verdicts, routed


def _without_clip(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Leave out what the seed ladder recorded of the same pixels, so that a photo has one verdict from CLIP."""
    return [verdict for verdict in verdicts if verdict.gate != "clip"]


def _gated(verdict: Verdict, photo: Photo) -> Verdict:
    """A photograph is evidence of the home whatever CLIP makes of it; what was generated has to prove itself."""
    return verdict.model_copy(update={"gates": photo.is_altered or settings().clip_gate == "all"})


def clip_check(photos: Sequence[Photo], at: Settings) -> dg.AssetCheckResult:
    """Judge a listing by the verdicts on its gated images: ERROR blocks what follows in the run, WARN is shown."""
    verdicts = [verdict for photo in photos for verdict in photo.verdicts if verdict.gate == "clip"]
    gated = [verdict for verdict in verdicts if verdict.gates]
    scored = [verdict for verdict in gated if verdict.outcome != "not_scored"]
    passed = [verdict for verdict in scored if verdict.outcome == "passed"]
    withheld = len(scored) - len(passed)
    share = len(passed) / len(scored) if scored else 1.0
    if withheld and (share < at.clip_min_pass_share or at.clip_strict):
        severity, ok = dg.AssetCheckSeverity.ERROR, False
        text = f"{withheld} of {len(scored)} gated images are below {at.clip_threshold:g}"
    elif withheld:
        severity, ok = dg.AssetCheckSeverity.WARN, False
        text = f"{withheld} of {len(scored)} gated images are below {at.clip_threshold:g}: their base is delivered"
    elif unscored := [verdict for verdict in verdicts if verdict.outcome == "not_scored"]:
        blocked = at.clip_strict and any(verdict.gates for verdict in unscored)
        severity, ok = (dg.AssetCheckSeverity.ERROR if blocked else dg.AssetCheckSeverity.WARN), False
        text = f"{len(unscored)} image{'' if len(unscored) == 1 else 's'} not scored: {unscored[0].reason}"
    else:
        severity, ok = dg.AssetCheckSeverity.WARN, True
        text = (
            f"all {len(scored)} gated images reach {at.clip_threshold:g}"
            if scored
            else "nothing was generated, so nothing is gated"
        )
    return dg.AssetCheckResult(
        check_name="clip_threshold",
        passed=ok,
        severity=severity,
        description=text,
        metadata={"gated": len(gated), "scored": len(scored), "withheld": withheld, "pass_share": share},
    )
