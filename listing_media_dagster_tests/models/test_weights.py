"""Pulling from a hub that behaves, breaks off, lies or keeps silent; and finding weights without any network."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.weights import BadWeights, ModelMissing, check, find_weights, locked_weights
from listing_media_dagster.models.weights_hub import without_secrets
from listing_media_dagster.models.weights_pull import HubUnreachable, PullProgress, pull
from listing_media_dagster_tests.helpers.fake_hub import FakeHub, FakeRepo, running, safetensors, silent_port

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"


@pytest.fixture(autouse=True)
def _own_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))


REPO = "timm/vit_base_patch32_clip_224.openai"


def _at(revision: str | None) -> CatalogueEntry:
    """Return CLIP's entry as if it were pinned to `revision`."""
    entry = catalogue_entry("clip-vit-b32")
    return entry.model_copy(update={"parts": (entry.parts[0].model_copy(update={"revision": revision}),)})


@pytest.fixture
def entry() -> CatalogueEntry:
    return _at(COMMIT)


@pytest.fixture
def repo() -> FakeRepo:
    weights = safetensors(bytes(range(256)) * 2048)
    return FakeRepo(COMMIT, {CONFIG: b'{"model_cfg": {}}', WEIGHTS: weights, "pytorch_model.bin": b"pickle"})


@pytest.fixture
def hub(repo: FakeRepo) -> Iterator[FakeHub]:
    with running(FakeHub({REPO: repo})) as hub:
        yield hub


def test_pull_fetches_only_the_entrys_files_shows_the_size_first_and_locks_the_digests(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    seen: list[PullProgress] = []
    folder = pull(entry, tmp_path, endpoint=hub.url, progress=seen.append)

    total = len(repo.files[CONFIG]) + len(repo.files[WEIGHTS])
    assert seen[0] == PullProgress(CONFIG, 0, total)
    assert seen[-1] == PullProgress(WEIGHTS, total, total)
    assert [report.done_bytes for report in seen] == sorted(report.done_bytes for report in seen)
    assert folder.weights.read_bytes() == repo.files[WEIGHTS]
    assert sorted(path.name for path in folder.path.iterdir()) == ["listing_media.json", CONFIG, WEIGHTS]
    locked = json.loads((tmp_path / "models.lock").read_text())["models"]["clip-vit-b32"]
    assert locked["parts"]["base"]["revision"] == COMMIT
    assert locked["parts"]["base"]["files"][WEIGHTS] == {
        "sha256": folder.weights_sha256,
        "size": len(repo.files[WEIGHTS]),
    }
    assert not list(tmp_path.rglob("*.part"))


def test_the_lock_names_the_same_weights_as_the_files_do(entry: CatalogueEntry, hub: FakeHub, tmp_path: Path) -> None:
    assert locked_weights(entry, tmp_path) is None
    folder = pull(entry, tmp_path, endpoint=hub.url)
    folder.weights.unlink()
    assert locked_weights(entry, tmp_path) == (folder.revision, folder.weights_sha256)
    assert locked_weights(_at("f" * 40), tmp_path) is None


def test_a_second_pull_asks_nobody(entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path) -> None:
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
def test_a_broken_download_goes_on_where_it_stopped(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    repo.break_after[WEIGHTS] = [300_000]
    folder = pull(entry, tmp_path, endpoint=hub.url)
    assert folder.weights.read_bytes() == repo.files[WEIGHTS]
    assert _resumed_at(hub) == 262_144


@pytest.mark.usefixtures("impatient_client")
def test_the_next_pull_goes_on_where_one_gave_up(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    repo.break_after[WEIGHTS] = [300_000, *[0] * 6]
    with pytest.raises(HubUnreachable, match=r"broke off.*`listing-media models pull clip-vit-b32` goes on"):
        pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(ModelMissing):
        check(entry, tmp_path)
    repo.break_after.clear()
    seen: list[PullProgress] = []
    assert pull(entry, tmp_path, endpoint=hub.url, progress=seen.append).weights.read_bytes() == repo.files[WEIGHTS]
    assert _resumed_at(hub) == 262_144
    assert seen[-1].done_bytes == seen[-1].total_bytes


def _resumed_at(hub: FakeHub) -> int:
    return int(hub.bytes_sent(WEIGHTS)[-1].rpartition("bytes=")[2].rstrip("-"))


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_file_that_isnt_what_the_hub_declared_is_not_kept(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path, name: str
) -> None:
    repo.served[name] = repo.files[name][:-1] + b"!"
    with pytest.raises(BadWeights, match=f"{name} .*isn't what it declares"):
        pull(entry, tmp_path, endpoint=hub.url)
    assert not list(tmp_path.rglob(name))
    assert not (tmp_path / "models.lock").exists()
    repo.served.clear()
    assert pull(entry, tmp_path, endpoint=hub.url).weights.read_bytes() == repo.files[WEIGHTS]


def test_a_file_shorter_than_declared_is_not_kept(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    repo.served[WEIGHTS] = repo.files[WEIGHTS][:1000]
    with pytest.raises((BadWeights, HubUnreachable), match=WEIGHTS):
        pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(ModelMissing):
        check(entry, tmp_path)
    repo.served.clear()
    assert pull(entry, tmp_path, endpoint=hub.url).weights.read_bytes() == repo.files[WEIGHTS]


def test_weights_changed_at_the_same_commit_are_refused(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    pulled = pull(entry, tmp_path, endpoint=hub.url)
    pulled.weights.unlink()
    repo.files[WEIGHTS] = b"something else entirely"
    with pytest.raises(BadWeights, match="isn't the one first pulled"):
        pull(entry, tmp_path, endpoint=hub.url)


def test_without_a_pinned_revision_the_first_pull_pins_it(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    unpinned = _at(None)
    assert pull(unpinned, tmp_path, endpoint=hub.url).revision == COMMIT
    check(unpinned, tmp_path).weights.write_bytes(b"damaged")
    pull(unpinned, tmp_path, endpoint=hub.url)
    assert f"GET /api/models/{REPO}/revision/{COMMIT}?blobs=true" in hub.requests


def test_a_hub_that_keeps_silent_is_one_line_within_the_time_limit(entry: CatalogueEntry, tmp_path: Path) -> None:
    import huggingface_hub  # noqa: F401  # which takes seconds of its own where the machine is busy

    with silent_port() as address:
        begun = time.monotonic()
        with pytest.raises(HubUnreachable) as raised:
            pull(entry, tmp_path, timeout_seconds=0.5, endpoint=address)
    assert time.monotonic() - begun < 20
    assert "\n" not in str(raised.value)


def test_a_refused_connection_is_one_line(entry: CatalogueEntry, tmp_path: Path) -> None:
    with silent_port() as address:
        pass
    with pytest.raises(HubUnreachable) as raised:
        pull(entry, tmp_path, endpoint=address)
    assert "\n" not in str(raised.value) and address in str(raised.value)


def test_a_machine_told_to_stay_offline_does(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_a_revision_the_hub_doesnt_have_is_named(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    with pytest.raises(BadWeights, match="f" * 40):
        pull(_at("f" * 40), tmp_path, endpoint=hub.url)


def test_a_repo_without_safetensors_is_refused(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    del repo.files[WEIGHTS]
    with pytest.raises(BadWeights, match=WEIGHTS):
        pull(entry, tmp_path, endpoint=hub.url)


def test_check_names_the_file_that_was_changed(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    folder = pull(entry, tmp_path, endpoint=hub.url)
    data = bytearray(folder.weights.read_bytes())
    data[1000] ^= 1
    folder.weights.write_bytes(data)
    with pytest.raises(BadWeights, match=WEIGHTS):
        check(entry, tmp_path)
    with pytest.raises(BadWeights, match=WEIGHTS):
        find_weights(entry, None, tmp_path)


def test_a_catalogue_that_moved_on_asks_for_another_pull(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(ModelMissing, match="models pull clip-vit-b32"):
        check(_at("a" * 40), tmp_path)


def test_nothing_here_says_which_command_fetches_it(entry: CatalogueEntry, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as raised:
        find_weights(entry, None, tmp_path)
    assert "listing-media models pull clip-vit-b32" in raised.value.how_to_get_it


def test_a_named_folder_is_never_passed_over(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(ModelMissing, match="nowhere"):
        find_weights(entry, tmp_path / "nowhere", tmp_path)


def test_pickled_weights_are_not_read(entry: CatalogueEntry, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text("{}")
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelMissing, match=r"open_clip_pytorch_model\.bin isn't read"):
        find_weights(entry, tmp_path, tmp_path)


def test_the_hubs_own_cache_is_used_at_the_pinned_revision_only(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    from huggingface_hub import hf_hub_download

    cache = tmp_path / "cache"
    for name in (CONFIG, WEIGHTS):
        hf_hub_download(REPO, name, revision=COMMIT, cache_dir=cache, endpoint=hub.url, token=False)
    found = find_weights(entry, None, tmp_path / "models", hub_cache=cache)
    assert (found.origin, found.revision, found.card.pretrained) == ("hub cache", COMMIT, "openai")
    other = _at("b" * 40)
    with pytest.raises(ModelMissing):
        find_weights(other, None, tmp_path / "models", hub_cache=cache)


def test_a_copied_folder_says_whose_weights_it_holds(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    pulled = pull(entry, tmp_path / "models", endpoint=hub.url)
    pulled.path.rename(tmp_path / "copied")
    found = find_weights(entry, tmp_path / "copied", tmp_path / "models")
    assert (found.card.pretrained, found.revision) == ("openai", COMMIT)
    found.weights.write_bytes(b"damaged on the way")
    with pytest.raises(BadWeights, match="changed or damaged"):
        find_weights(entry, tmp_path / "copied", tmp_path / "models")


def test_a_damaged_lock_is_named_not_ignored(
    entry: CatalogueEntry, hub: FakeHub, repo: FakeRepo, tmp_path: Path
) -> None:
    pull(entry, tmp_path, endpoint=hub.url)
    (tmp_path / "models.lock").write_text('{"models": {"clip-vit-b32": {}}}')
    with pytest.raises(BadWeights, match=r"models\.lock"):
        find_weights(entry, None, tmp_path)


def test_no_message_shows_a_mirrors_login_or_a_signed_address(tmp_path: Path) -> None:
    entry = catalogue_entry("clip-vit-b32")
    with pytest.raises(HubUnreachable) as unreachable:
        pull(entry, tmp_path, endpoint="http://reader:secret@127.0.0.1:9")
    assert "http://127.0.0.1:9 can't be reached" in str(unreachable.value)
    assert "secret" not in str(unreachable.value)
    signed = "403 for url: https://cdn.example/blob?X-Signature=secret&Expires=1 (Forbidden)"
    assert without_secrets(signed) == "403 for url: https://cdn.example/blob (Forbidden)"
