"""Pulling from a hub that behaves, breaks off, lies or keeps silent; and finding weights without any network."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from listing_media_dagster.models.catalogue import CatalogueEntry, catalogue, catalogue_entry, read_catalogue
from listing_media_dagster.models.weights import (
    BadWeights,
    HubUnreachable,
    ModelMissing,
    PullProgress,
    check,
    find_weights,
    pull,
)
from listing_media_dagster_tests.helpers.fake_hub import FakeHub, running, silent_port

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"


@pytest.fixture(autouse=True)
def _own_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))


@pytest.fixture
def entry() -> CatalogueEntry:
    return catalogue_entry("clip-vit-b32").model_copy(update={"revision": COMMIT})


@pytest.fixture
def hub(entry: CatalogueEntry) -> Iterator[FakeHub]:
    weights = bytes(range(256)) * 4096
    files = {CONFIG: b'{"model_cfg": {}}', WEIGHTS: weights, "pytorch_model.bin": b"pickle"}
    with running(FakeHub(entry.repo, COMMIT, files)) as hub:
        yield hub


def test_pull_fetches_only_the_entrys_files_shows_the_size_first_and_locks_the_digests(
    entry: CatalogueEntry, hub: FakeHub, tmp_path: Path
) -> None:
    seen: list[PullProgress] = []
    folder = pull(entry, tmp_path, endpoint=hub.url, progress=seen.append)

    total = len(hub.files[CONFIG]) + len(hub.files[WEIGHTS])
    assert seen[0] == PullProgress(WEIGHTS, 0, total)
    assert seen[-1] == PullProgress(WEIGHTS, total, total)
    assert [report.done_bytes for report in seen] == sorted(report.done_bytes for report in seen)
    assert folder.weights.read_bytes() == hub.files[WEIGHTS]
    assert sorted(path.name for path in folder.path.iterdir()) == ["listing_media.json", CONFIG, WEIGHTS]
    locked = json.loads((tmp_path / "models.lock").read_text())["models"]["clip-vit-b32"]
    assert locked["revision"] == COMMIT
    assert locked["files"][WEIGHTS] == {"sha256": folder.weights_sha256, "size": len(hub.files[WEIGHTS])}
    assert not list(tmp_path.glob(".incoming*"))


def test_a_second_pull_asks_nobody(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    pull(entry, tmp_path, endpoint=hub.url)
    before = list(hub.requests)
    assert pull(entry, tmp_path, endpoint=hub.url).origin == "pulled"
    assert hub.requests == before


@pytest.fixture
def impatient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client, keeping what arrived in smaller parts than 10 MB and not resting between its retries."""
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 65_536)
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)


@pytest.mark.usefixtures("impatient_client")
def test_a_broken_download_goes_on_where_it_stopped(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    hub.break_after[WEIGHTS] = [300_000]
    folder = pull(entry, tmp_path, endpoint=hub.url)
    assert folder.weights.read_bytes() == hub.files[WEIGHTS]
    assert _resumed_at(hub) == 262_144


@pytest.mark.usefixtures("impatient_client")
def test_the_next_pull_goes_on_where_one_gave_up(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    hub.break_after[WEIGHTS] = [300_000, *[0] * 6]
    with pytest.raises(HubUnreachable, match=r"broke off.*`listing-media models pull clip-vit-b32` goes on"):
        pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(ModelMissing):
        check(entry, tmp_path)
    hub.break_after.clear()
    seen: list[PullProgress] = []
    assert pull(entry, tmp_path, endpoint=hub.url, progress=seen.append).weights.read_bytes() == hub.files[WEIGHTS]
    assert _resumed_at(hub) == 262_144
    assert seen[-1].done_bytes == seen[-1].total_bytes


def _resumed_at(hub: FakeHub) -> int:
    return int(hub.bytes_sent(WEIGHTS)[-1].rpartition("bytes=")[2].rstrip("-"))


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_file_that_isnt_what_the_hub_declared_is_not_kept(
    entry: CatalogueEntry, hub: FakeHub, tmp_path: Path, name: str
) -> None:
    hub.served[name] = hub.files[name][:-1] + b"!"
    with pytest.raises(BadWeights, match=f"{name} .*isn't what it declares"):
        pull(entry, tmp_path, endpoint=hub.url)
    assert not list(tmp_path.rglob(name))
    assert not (tmp_path / "models.lock").exists()
    hub.served.clear()
    assert pull(entry, tmp_path, endpoint=hub.url).weights.read_bytes() == hub.files[WEIGHTS]


def test_a_file_shorter_than_declared_is_not_kept(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    hub.served[WEIGHTS] = hub.files[WEIGHTS][:1000]
    with pytest.raises((BadWeights, HubUnreachable), match=WEIGHTS):
        pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(ModelMissing):
        check(entry, tmp_path)
    hub.served.clear()
    assert pull(entry, tmp_path, endpoint=hub.url).weights.read_bytes() == hub.files[WEIGHTS]


def test_weights_changed_at_the_same_commit_are_refused(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    pulled = pull(entry, tmp_path, endpoint=hub.url)
    pulled.weights.unlink()
    hub.files[WEIGHTS] = b"something else entirely"
    with pytest.raises(BadWeights, match="isn't the one first pulled"):
        pull(entry, tmp_path, endpoint=hub.url)


def test_without_a_pinned_revision_the_first_pull_pins_it(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    unpinned = entry.model_copy(update={"revision": None})
    assert pull(unpinned, tmp_path, endpoint=hub.url).revision == COMMIT
    check(unpinned, tmp_path).weights.write_bytes(b"damaged")
    pull(unpinned, tmp_path, endpoint=hub.url)
    assert f"GET /api/models/{entry.repo}/revision/{COMMIT}?blobs=true" in hub.requests


def test_a_hub_that_keeps_silent_is_one_line_within_the_time_limit(entry: CatalogueEntry, tmp_path: Path) -> None:
    with silent_port() as address:
        begun = time.monotonic()
        with pytest.raises(HubUnreachable) as raised:
            pull(entry, tmp_path, timeout_seconds=0.5, endpoint=address)
    assert time.monotonic() - begun < 3
    assert "\n" not in str(raised.value)


def test_a_refused_connection_is_one_line(entry: CatalogueEntry, tmp_path: Path) -> None:
    with silent_port() as address:
        pass
    with pytest.raises(HubUnreachable) as raised:
        pull(entry, tmp_path, endpoint=address)
    assert "\n" not in str(raised.value) and address in str(raised.value)


def test_a_machine_told_to_stay_offline_does(
    entry: CatalogueEntry, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import close_session, constants

    close_session()  # the client looks at the switch when it opens its session
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    try:
        with pytest.raises(HubUnreachable, match="HF_HUB_OFFLINE is set"):
            pull(entry, tmp_path, endpoint=hub.url)
    finally:
        close_session()
    assert not hub.requests


def test_a_revision_the_hub_doesnt_have_is_named(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="f" * 40):
        pull(entry.model_copy(update={"revision": "f" * 40}), tmp_path, endpoint=hub.url)


def test_a_repo_without_safetensors_is_refused(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    del hub.files[WEIGHTS]
    with pytest.raises(BadWeights, match=WEIGHTS):
        pull(entry, tmp_path, endpoint=hub.url)


def test_check_names_the_file_that_was_changed(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    folder = pull(entry, tmp_path, endpoint=hub.url)
    data = bytearray(folder.weights.read_bytes())
    data[1000] ^= 1
    folder.weights.write_bytes(data)
    with pytest.raises(BadWeights, match=WEIGHTS):
        check(entry, tmp_path)
    with pytest.raises(BadWeights, match=WEIGHTS):
        find_weights(entry, None, tmp_path)


def test_a_catalogue_that_moved_on_asks_for_another_pull(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(ModelMissing, match="models pull clip-vit-b32"):
        check(entry.model_copy(update={"revision": "a" * 40}), tmp_path)


def test_nothing_here_says_which_command_fetches_it(entry: CatalogueEntry, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as raised:
        find_weights(entry, None, tmp_path)
    assert "listing-media models pull clip-vit-b32" in raised.value.how_to_get_it


def test_a_named_folder_is_never_passed_over(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(ModelMissing, match="nowhere"):
        find_weights(entry, tmp_path / "nowhere", tmp_path)


def test_pickled_weights_are_not_read(entry: CatalogueEntry, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text("{}")
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelMissing, match=r"open_clip_pytorch_model\.bin isn't read"):
        find_weights(entry, tmp_path, tmp_path)


def test_the_hubs_own_cache_is_used_at_the_pinned_revision_only(
    entry: CatalogueEntry, hub: FakeHub, tmp_path: Path
) -> None:
    from huggingface_hub import hf_hub_download

    cache = tmp_path / "cache"
    for name in (CONFIG, WEIGHTS):
        hf_hub_download(entry.repo, name, revision=COMMIT, cache_dir=cache, endpoint=hub.url, token=False)
    found = find_weights(entry, None, tmp_path / "models", hub_cache=cache)
    assert (found.origin, found.revision, found.card.pretrained) == ("hub cache", COMMIT, "openai")
    other = entry.model_copy(update={"revision": "b" * 40})
    with pytest.raises(ModelMissing):
        find_weights(other, None, tmp_path / "models", hub_cache=cache)


def test_a_copied_folder_says_whose_weights_it_holds(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    pulled = pull(entry, tmp_path / "models", endpoint=hub.url)
    pulled.path.rename(tmp_path / "copied")
    found = find_weights(entry, tmp_path / "copied", tmp_path / "models")
    assert (found.card.pretrained, found.revision) == ("openai", COMMIT)
    found.weights.write_bytes(b"damaged on the way")
    with pytest.raises(BadWeights, match="changed or damaged"):
        find_weights(entry, tmp_path / "copied", tmp_path / "models")


def test_a_damaged_lock_is_named_not_ignored(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    pull(entry, tmp_path, endpoint=hub.url)
    (tmp_path / "models.lock").write_text('{"models": {"clip-vit-b32": {}}}')
    with pytest.raises(BadWeights, match=r"models\.lock"):
        find_weights(entry, None, tmp_path)


def test_the_shipped_catalogue_is_pinned_and_free_of_pickles() -> None:
    for entry in catalogue().models:
        assert entry.revision is not None
        assert all(not name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in entry.files)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"revision": "main"}, "revision"),
        ({"files": ["model.bin"]}, "files"),
        ({"weights": "another.safetensors"}, "must be a safetensors file listed"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_catalogue_that_cant_be_trusted_is_refused(change: dict[str, object], complaint: str) -> None:
    shipped = catalogue_entry("clip-vit-b32").model_dump(mode="json")
    with pytest.raises(ValueError, match=complaint):
        read_catalogue(json.dumps({"models": [{**shipped, **change}]}))


def test_an_id_listed_twice_is_refused() -> None:
    shipped = catalogue_entry("clip-vit-b32").model_dump(mode="json")
    with pytest.raises(ValueError, match="listed twice: clip-vit-b32"):
        read_catalogue(json.dumps({"models": [shipped, shipped]}))


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(LookupError, match="clip-vit-b32"):
        catalogue_entry("clip")
