"""Bundles of weights: there and back, used where they lie, and refused when anything about them is off."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from listing_media_dagster.models import packing
from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.packing import pack_models, unpack_models
from listing_media_dagster.models.pinned import pinned, pinned_digest, placed
from listing_media_dagster.models.weights import BadWeights, ModelMissing, check, find_weights
from listing_media_dagster.models.weights_lock import changing
from listing_media_dagster.models.weights_pull import pull
from listing_media_dagster_tests.helpers.fake_hub import FakeHub, FakeRepo, running, safetensors

COMMIT, OTHER = "a" * 40, "b" * 40


def _entry(model_id: str, repo: str) -> CatalogueEntry:
    like = catalogue_entry("clip-vit-b32")
    part = like.parts[0].model_copy(update={"repo": repo, "revision": None, "files": ("config.json", "*.safetensors")})
    return like.model_copy(update={"id": model_id, "parts": (part,)})


FIRST, SECOND = _entry("first", "maker/first"), _entry("second", "maker/second")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    repos = {
        "maker/first": FakeRepo(COMMIT, {"config.json": b"{}", "a.safetensors": safetensors(b"first" * 5000)}),
        "maker/second": FakeRepo(OTHER, {"config.json": b"{}", "b.safetensors": safetensors(b"second" * 5000)}),
    }
    with running(FakeHub(repos)) as hub:
        yield hub


@pytest.fixture
def pulled(hub: FakeHub, tmp_path: Path) -> Path:
    for entry in (FIRST, SECOND):
        pull(entry, tmp_path / "pulled", endpoint=hub.url)
    return tmp_path / "pulled"


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_a_bundle_carries_models_to_a_machine_without_network(pulled: Path, tmp_path: Path, name: str) -> None:
    told: list[tuple[str, int, int]] = []
    pack_models([FIRST], pulled, tmp_path / name, lambda *at: told.append(at))
    assert told[-1][1] == told[-1][2] > 0
    manifest = unpack_models(tmp_path / name, tmp_path / "there")
    assert manifest.models == ("first",)
    there, here = check(FIRST, tmp_path / "there"), find_weights(FIRST, None, pulled)
    assert (there.weights_sha256, there.revision) == (here.weights_sha256, COMMIT)
    with pytest.raises(ModelMissing):
        find_weights(SECOND, None, tmp_path / "there")


def test_a_bundle_can_be_used_where_it_lies_even_if_nothing_can_be_written_there(pulled: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    pack_models([FIRST, SECOND], pulled, bundle)
    for path in [bundle, *bundle.rglob("*")]:
        path.chmod(stat.S_IRUSR | stat.S_IXUSR if path.is_dir() else stat.S_IRUSR)
    assert find_weights(FIRST, None, bundle).origin == "pulled"
    assert check(SECOND, bundle).revision == OTHER
    for path in [bundle, *bundle.rglob("*")]:
        path.chmod(stat.S_IRWXU)


def test_unpacking_adds_to_what_is_there(pulled: Path, tmp_path: Path) -> None:
    for entry in (FIRST, SECOND):
        pack_models([entry], pulled, tmp_path / f"{entry.id}.zip")
        unpack_models(tmp_path / f"{entry.id}.zip", tmp_path / "there")
    assert all(check(entry, tmp_path / "there") for entry in (FIRST, SECOND))


def test_unpacking_waits_for_a_pull_in_progress(pulled: Path, hub: FakeHub, tmp_path: Path) -> None:
    pack_models([SECOND], pulled, tmp_path / "bundle.zip")
    there = tmp_path / "there"
    there.mkdir()
    with ThreadPoolExecutor(1) as other:
        with changing(there):
            unpacking = other.submit(unpack_models, tmp_path / "bundle.zip", there)
            with pytest.raises(TimeoutError):
                unpacking.result(timeout=0.3)
            assert not (there / "models.lock").exists()
        assert unpacking.result(timeout=30).models == ("second",)


def test_damaged_weights_arent_packed(pulled: Path, tmp_path: Path) -> None:
    find_weights(FIRST, None, pulled).weights.write_bytes(b"damaged")
    with pytest.raises(BadWeights, match=r"a\.safetensors"):
        pack_models([FIRST], pulled, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_nothing_is_overwritten_and_nothing_half_made_stays(
    pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(FileExistsError, match="is there already"):
        pack_models([FIRST], pulled, tmp_path / "taken")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_models([FIRST], pulled, tmp_path / "bundle.zip", stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pulled", "taken"]
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 1000))
    with pytest.raises(OSError, match="MB are needed"):
        pack_models([FIRST], pulled, tmp_path / "bundle.zip")


def test_a_file_changed_in_a_bundle_is_refused_and_nothing_is_locked(pulled: Path, tmp_path: Path) -> None:
    pack_models([FIRST], pulled, tmp_path / "bundle")
    weights = next((tmp_path / "bundle").rglob("a.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BadWeights, match=r"a\.safetensors isn't the file that was packed"):
        unpack_models(tmp_path / "bundle", tmp_path / "there")
    assert not (tmp_path / "there/models.lock").exists()
    assert not list((tmp_path / "there").rglob("a.safetensors*"))
    with pytest.raises(BadWeights, match=r"a\.safetensors"):
        find_weights(FIRST, None, tmp_path / "bundle")


def test_a_zip_that_was_cut_off_is_refused(pulled: Path, tmp_path: Path) -> None:
    pack_models([FIRST], pulled, tmp_path / "bundle.zip")
    data = (tmp_path / "bundle.zip").read_bytes()
    (tmp_path / "bundle.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadWeights, match="can't be opened"):
        unpack_models(tmp_path / "bundle.zip", tmp_path / "there")


def test_a_file_that_the_bundle_lacks_is_named(pulled: Path, tmp_path: Path) -> None:
    pack_models([FIRST], pulled, tmp_path / "bundle")
    next((tmp_path / "bundle").rglob("a.safetensors")).unlink()
    with pytest.raises(BadWeights, match=r"a\.safetensors can't be read"):
        unpack_models(tmp_path / "bundle", tmp_path / "there")


def test_what_is_no_bundle_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("holiday.jpg", b"")
    for bundle in (tmp_path / "folder", tmp_path / "some.zip"):
        with pytest.raises(BadWeights, match=r"is no bundle of weights: it has no bundle\.json"):
            unpack_models(bundle, tmp_path / "there")


@pytest.mark.parametrize("path", ["../outside.safetensors", "/tmp/outside.safetensors", "maker--first/x/*.json"])
def test_a_manifest_that_leads_outside_is_refused(pulled: Path, tmp_path: Path, path: str) -> None:
    pack_models([FIRST], pulled, tmp_path / "bundle")
    manifest = tmp_path / "bundle/bundle.json"
    record = json.loads(manifest.read_text())
    record["files"][path] = {"sha256": "0" * 64, "size": 1}
    manifest.write_text(json.dumps(record))
    with pytest.raises(BadWeights, match=r"bundle\.json"):
        unpack_models(tmp_path / "bundle", tmp_path / "there")
    assert not (tmp_path / "outside.safetensors").exists()


def test_a_bundle_that_contradicts_the_lock_here_is_refused(pulled: Path, tmp_path: Path) -> None:
    pack_models([FIRST], pulled, tmp_path / "bundle")
    unpack_models(tmp_path / "bundle", tmp_path / "there")
    lock = tmp_path / "there/models.lock"
    digest = find_weights(FIRST, None, pulled).weights_sha256
    lock.write_text(lock.read_text().replace(digest, "0" * 64))
    with pytest.raises(BadWeights, match=r"isn't the one that models\.lock on this machine holds; nothing was taken"):
        unpack_models(tmp_path / "bundle", tmp_path / "there")


@pytest.fixture
def with_own_lora(tmp_path: Path) -> CatalogueEntry:
    """A pulled model with a LoRA from a folder of one's own."""
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras/look.safetensors").write_bytes(safetensors(b"look" * 500))
    lora = {"role": "look", "folder": tmp_path / "loras", "files": ["look.safetensors"], "size_mb": 1}
    told = {**FIRST.model_dump(), "loras": [{**lora, "licence": "our own", "commercial_use": "yes"}]}
    told["parts"][0]["loads"] = "diffusers.WanImageToVideoPipeline"
    return CatalogueEntry.model_validate(told)


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_files_from_folders_of_ones_own_travel_too_and_are_found_by_their_digests(
    pulled: Path, with_own_lora: CatalogueEntry, tmp_path: Path, name: str
) -> None:
    held = pinned(with_own_lora, pulled)
    assert str(tmp_path) not in held.model_dump_json(), "it names no place on this machine"
    assert held.parts[0].revision == COMMIT and pinned_digest(held) == check(with_own_lora, pulled).weights_sha256
    there = tmp_path / "there"
    with pytest.raises(ModelMissing, match="models pull first"):
        find_weights(placed(held, there), None, there)

    pack_models([with_own_lora], pulled, tmp_path / name)
    assert unpack_models(tmp_path / name, there).models == ("first",)
    found = find_weights(placed(held, there), None, there)
    assert found.weights_sha256 == pinned_digest(held) and found.file("look").is_relative_to(there / "own")
    assert not (there / "own").samefile(tmp_path / "loras")

    found.file("look").write_bytes(safetensors(b"another look" * 500))
    with pytest.raises(BadWeights, match=r"look\.safetensors isn't the file that the catalogue names"):
        find_weights(placed(held, there), None, there)


def test_a_held_model_is_found_where_the_catalogue_of_that_machine_has_it(
    pulled: Path, with_own_lora: CatalogueEntry, tmp_path: Path
) -> None:
    held = pinned(with_own_lora, pulled)
    elsewhere = placed(held, tmp_path / "there")
    assert elsewhere.part("look").folder == tmp_path / "there" / str(held.part("look").folder)
    here = find_weights(placed(held, pulled, known=with_own_lora), None, pulled)
    assert here.file("look") == tmp_path / "loras/look.safetensors"


def test_weights_marked_as_made_for_tests_stay_marked_on_their_way(
    pulled: Path, with_own_lora: CatalogueEntry, tmp_path: Path
) -> None:
    assert not pinned(with_own_lora, pulled).test_only
    (tmp_path / "loras/listing_media.json").write_text('{"test_only": true}')
    assert pinned(with_own_lora, pulled).test_only


def test_a_bundle_lays_no_files_of_its_own_among_the_pulled_ones(
    pulled: Path, with_own_lora: CatalogueEntry, tmp_path: Path
) -> None:
    pack_models([with_own_lora], pulled, tmp_path / "bundle")
    manifest = tmp_path / "bundle/bundle.json"
    told = json.loads(manifest.read_text())
    for files in (told["own"], told["files"]):
        (name,) = (name for name in files if name.startswith("own/"))
        files["maker--first/other/look.safetensors"] = files.pop(name)
    manifest.write_text(json.dumps(told))
    with pytest.raises(BadWeights, match="outside own/"):
        unpack_models(tmp_path / "bundle", tmp_path / "there")


def test_only_what_is_here_and_not_in_the_package_can_be_packed(pulled: Path, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="yunet comes with this package"):
        pack_models([catalogue_entry("yunet")], pulled, tmp_path / "bundle")
    own = FIRST.parts[0].model_copy(update={"repo": None, "folder": tmp_path})
    with pytest.raises(ModelMissing, match=r"has no config\.json"):
        pack_models([FIRST.model_copy(update={"parts": (own,)})], pulled, tmp_path / "bundle")
    with pytest.raises(ModelMissing, match="models pull clip-vit-b32"):
        pack_models([catalogue_entry("clip-vit-b32")], pulled, tmp_path / "bundle")


def test_a_bundle_of_another_commit_doesnt_replace_what_this_machine_holds(
    hub: FakeHub, pulled: Path, tmp_path: Path
) -> None:
    pack_models([FIRST], pulled, tmp_path / "bundle")
    hub.repos["maker/first"] = FakeRepo(OTHER, {"config.json": b"{}", "a.safetensors": safetensors(b"newer" * 5000)})
    pull(FIRST, tmp_path / "newer", endpoint=hub.url)
    with pytest.raises(BadWeights, match=f"models.lock here holds it to {OTHER[:12]} of maker/first"):
        unpack_models(tmp_path / "bundle", tmp_path / "newer")
    assert check(FIRST, tmp_path / "newer").revision == OTHER


def test_a_bundle_whose_configuration_brings_code_is_refused(pulled: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    pack_models([FIRST], pulled, bundle)
    (config,) = bundle.rglob("config.json")
    changed = b'{"auto_map": {"AutoModel": "code.Model"}}'
    before = hashlib.sha256(config.read_bytes()).hexdigest()
    config.write_bytes(changed)
    manifest = bundle / "bundle.json"
    told = json.loads(manifest.read_text().replace(before, hashlib.sha256(changed).hexdigest()))
    for files in (told["files"], *(part["files"] for part in told["lock"]["models"]["first"]["parts"].values())):
        next(file for name, file in files.items() if name.endswith("config.json"))["size"] = len(changed)
    manifest.write_text(json.dumps(told))
    with pytest.raises(BadWeights, match="asks for code of its own"):
        unpack_models(bundle, tmp_path / "there")
    with pytest.raises(ModelMissing):
        find_weights(FIRST, None, tmp_path / "there")
