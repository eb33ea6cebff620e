"""Models of several parts: pulling from several repositories, sharing, moved branches, tampered locks, custom code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from listing_media_dagster.models import weights_pull
from listing_media_dagster.models.catalogue import catalogue_entry, read_catalogue
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.weights import BadWeights, ModelMissing, check, find_weights, is_here
from listing_media_dagster.models.weights_folder import inspect_folder, matching
from listing_media_dagster.models.weights_pull import LicenceRefused, PullProgress, plan_pull, pull
from listing_media_dagster_tests.helpers.fake_hub import FakeHub, FakeRepo, running, safetensors

FIRST, SECOND, THIRD = "a" * 40, "b" * 40, "c" * 40

ENTRY: dict[str, Any] = {
    "id": "sdxl-like",
    "title": "A pipeline of several parts",
    "purpose": "tests",
    "stages": ["staging"],
    "family": "sdxl-union-inpaint",
    "licence": "MIT",
    "commercial_use": "yes",
    "dtypes": ["float16"],
    "vram_gb": {"resident": 8},
    "parts": [
        {
            "role": "base",
            "loads": "diffusers.StableDiffusionXLControlNetUnionInpaintPipeline",
            "repo": "maker/base",
            "size_mb": 2,
            "files": ["model_index.json", "*/*.json", "unet/*.fp16.safetensors"],
        },
        {
            "role": "vae",
            "loads": "diffusers.AutoencoderKL",
            "repo": "other/vae",
            "revision": SECOND,
            "subfolder": "fixed",
            "size_mb": 1,
            "files": ["fixed/config.json", "fixed/model.safetensors"],
        },
    ],
    "loras": [
        {
            "role": "fast",
            "repo": "third/loras",
            "size_mb": 1,
            "files": ["fast.safetensors"],
            "licence": "MIT",
            "commercial_use": "yes",
        }
    ],
}


def _entry(**changes: Any) -> CatalogueEntry:
    return read_catalogue(json.dumps({"models": [{**ENTRY, **changes}]})).models[0]


@pytest.fixture
def repos() -> dict[str, FakeRepo]:
    base = {
        "model_index.json": b'{"_class_name": "StableDiffusionXLPipeline"}',
        "unet/config.json": b"{}",
        "unet/diffusion.fp16.safetensors": safetensors(b"half" * 1000),
        "unet/diffusion.safetensors": safetensors(b"whole" * 1000),
        "unet/diffusion.bin": b"pickle",
        "unet/loader.py": b"print('never fetched')",
        "deep/er/config.json": b"{}",
    }
    return {
        "maker/base": FakeRepo(FIRST, base),
        "other/vae": FakeRepo(SECOND, {"fixed/config.json": b"{}", "fixed/model.safetensors": safetensors(b"vae")}),
        "third/loras": FakeRepo(THIRD, {"fast.safetensors": safetensors(b"fast"), "slow.safetensors": safetensors()}),
    }


@pytest.fixture
def hub(repos: Mapping[str, FakeRepo]) -> Iterator[FakeHub]:
    with running(FakeHub(dict(repos))) as hub:
        yield hub


def test_every_part_comes_from_its_own_repository_and_only_what_the_patterns_mean(hub: FakeHub, tmp_path: Path) -> None:
    seen: list[PullProgress] = []
    folder = pull(_entry(), tmp_path, endpoint=hub.url, progress=seen.append)

    assert sorted(folder.parts[0].files) == ["model_index.json", "unet/config.json", "unet/diffusion.fp16.safetensors"]
    assert (folder.part("base") / "unet/diffusion.fp16.safetensors").is_file()
    assert (folder.part("vae") / "model.safetensors").is_file(), "a subfolder is what is handed to the loader"
    assert folder.file("fast").name == "fast.safetensors"
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".py", ".bin", ".part")]
    assert (seen[0].done_bytes, seen[-1].done_bytes) == (0, folder.size)
    assert {report.total_bytes for report in seen} == {folder.size}
    assert is_here(_entry(), tmp_path)


def test_the_lock_holds_each_parts_revision_and_digests(hub: FakeHub, tmp_path: Path) -> None:
    folder = pull(_entry(), tmp_path, endpoint=hub.url)
    parts = json.loads((tmp_path / "models.lock").read_text())["models"]["sdxl-like"]["parts"]
    assert {role: part["revision"] for role, part in parts.items()} == {"base": FIRST, "vae": SECOND, "fast": THIRD}
    expected = folder.parts[2].files["fast.safetensors"].sha256
    assert parts["fast"]["files"]["fast.safetensors"]["sha256"] == expected


def test_a_branch_that_moved_doesnt_move_what_was_pulled(
    hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path
) -> None:
    folder = pull(_entry(), tmp_path, endpoint=hub.url)
    repos["maker/base"].move_to("d" * 40, {**repos["maker/base"].files, "unet/config.json": b'{"moved": 1}'})
    (folder.part("base") / "unet/config.json").unlink()
    again = pull(_entry(), tmp_path, endpoint=hub.url)
    assert again.parts[0].revision == FIRST
    assert (again.part("base") / "unet/config.json").read_bytes() == b"{}"


def test_a_model_that_shares_a_repository_fetches_only_what_is_missing(hub: FakeHub, tmp_path: Path) -> None:
    pull(_entry(), tmp_path, endpoint=hub.url)
    hub.requests.clear()
    sharing = _entry(id="sharing", parts=[ENTRY["parts"][0]], loras=[])
    plan = plan_pull(sharing, tmp_path, endpoint=hub.url)
    assert (plan.bytes_to_fetch, all(file.is_here for file in plan.files)) == (0, True)
    folder = pull(sharing, tmp_path, endpoint=hub.url)
    assert not [request for request in hub.requests if "/resolve/" in request]
    assert folder.part("base") == find_weights(_entry(), None, tmp_path).part("base")


def test_a_lora_added_later_is_all_that_the_next_pull_fetches(hub: FakeHub, tmp_path: Path) -> None:
    plain = _entry(loras=[])
    before = pull(plain, tmp_path, endpoint=hub.url).weights_sha256
    assert not is_here(_entry(), tmp_path)
    with pytest.raises(ModelMissing, match=r"`listing-media models pull sdxl-like` fetches it once \(1 MB"):
        find_weights(_entry(), None, tmp_path)
    hub.requests.clear()
    assert pull(_entry(), tmp_path, endpoint=hub.url).weights_sha256 != before, "pictures will differ: so must the name"
    assert [request for request in hub.requests if "/resolve/" in request and request.startswith("GET")] == [
        f"GET /third/loras/resolve/{THIRD}/fast.safetensors"
    ]


def test_a_plan_shows_exact_sizes_and_fetches_nothing(hub: FakeHub, tmp_path: Path) -> None:
    plan = plan_pull(_entry(), tmp_path / "not yet", endpoint=hub.url)
    assert [(file.role, file.name, file.is_here) for file in plan.files][-1] == ("fast", "fast.safetensors", False)
    assert plan.bytes_to_fetch == sum(file.size for file in plan.files)
    assert plan.free_bytes > 0
    assert not (tmp_path / "not yet").exists()


def test_a_download_that_doesnt_fit_the_disk_isnt_begun(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_pull.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 1000))
    with pytest.raises(OSError, match="0 MB free, 0 MB are needed"):
        pull(_entry(), tmp_path, endpoint=hub.url)
    assert not [request for request in hub.requests if "/resolve/" in request]


def test_a_file_damaged_in_place_is_refused_and_pulled_again_alone(hub: FakeHub, tmp_path: Path) -> None:
    folder = pull(_entry(), tmp_path, endpoint=hub.url)
    weights = folder.part("base") / "unet/diffusion.fp16.safetensors"
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BadWeights, match=r"diffusion\.fp16\.safetensors isn't the file that was pulled"):
        find_weights(_entry(), None, tmp_path)
    hub.requests.clear()
    pull(_entry(), tmp_path, endpoint=hub.url)
    assert len([request for request in hub.requests if "/resolve/" in request and request.startswith("GET")]) == 1


def test_damage_that_leaves_size_and_times_alone_is_found_by_check(hub: FakeHub, tmp_path: Path) -> None:
    folder = pull(_entry(), tmp_path, endpoint=hub.url)
    weights = folder.file("fast")
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    stamps = json.loads((tmp_path / ".verified.json").read_text())
    key = weights.relative_to(tmp_path).as_posix()
    stat = weights.stat()
    stamps[key][:4] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    (tmp_path / ".verified.json").write_text(json.dumps(stamps))
    find_weights(_entry(), None, tmp_path)
    with pytest.raises(BadWeights, match=r"fast\.safetensors"):
        check(_entry(), tmp_path)


def test_what_was_verified_isnt_hashed_at_every_start(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from listing_media_dagster.models import weights_folder

    pull(_entry(), tmp_path, endpoint=hub.url)
    weights_folder._sha256_of_unchanged.cache_clear()
    monkeypatch.setattr(weights_folder, "_hash", lambda path: pytest.fail(f"{path} was hashed again"))
    find_weights(_entry(), None, tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"fast.safetensors"', '"../../../etc/fast.safetensors"'),
        (f'"{THIRD}"', '"main"'),
        ('"third/loras"', '"../loras"'),
        ('"size":', '"sise":'),
    ],
)
def test_a_lock_that_was_tampered_with_is_refused(hub: FakeHub, tmp_path: Path, old: str, new: str) -> None:
    pull(_entry(), tmp_path, endpoint=hub.url)
    lock = tmp_path / "models.lock"
    lock.write_text(lock.read_text().replace(old, new))
    with pytest.raises(BadWeights, match=r"models\.lock can't be read"):
        find_weights(_entry(), None, tmp_path)
    with pytest.raises(BadWeights, match=r"models\.lock can't be read"):
        pull(_entry(), tmp_path, endpoint=hub.url)


def test_a_digest_changed_in_the_lock_makes_the_file_refused(hub: FakeHub, tmp_path: Path) -> None:
    folder = pull(_entry(), tmp_path, endpoint=hub.url)
    lock = tmp_path / "models.lock"
    digest = folder.parts[2].files["fast.safetensors"].sha256
    lock.write_text(lock.read_text().replace(digest, "0" * 64))
    with pytest.raises(BadWeights, match=r"fast\.safetensors"):
        find_weights(_entry(), None, tmp_path)
    with pytest.raises(BadWeights, match="isn't the one first pulled"):
        pull(_entry(), tmp_path, endpoint=hub.url)


@pytest.mark.parametrize(("name", "size"), [("fixed/model.safetensors", 1), ("fixed/config.json", 2)])
def test_a_digest_in_the_catalogue_outranks_the_hub(hub: FakeHub, tmp_path: Path, name: str, size: int) -> None:
    known = {name: {"sha256": "0" * 64, "size": size}}
    entry = _entry(parts=[ENTRY["parts"][0], {**ENTRY["parts"][1], "digests": known}])
    with pytest.raises(BadWeights, match=f"{name} of other/vae isn't the one"):
        pull(entry, tmp_path, endpoint=hub.url)
    assert not (tmp_path / "models.lock").exists()


def test_a_repository_with_pickles_only_says_why_they_arent_fetched(
    hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path
) -> None:
    repos["third/loras"].files = {"fast.bin": b"pickle"}
    with pytest.raises(BadWeights, match=r"has no fast\.safetensors; it has fast\.bin, but pickled weights can run"):
        pull(_entry(), tmp_path, endpoint=hub.url)


def test_a_pickle_under_another_name_isnt_kept(hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path) -> None:
    repos["third/loras"].files["fast.safetensors"] = b"\x80\x04\x95" + bytes(100)
    with pytest.raises(BadWeights, match="isn't in the safetensors format"):
        pull(_entry(), tmp_path, endpoint=hub.url)
    assert not list(tmp_path.rglob("fast.safetensors*"))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("unet/config.json", b'{"auto_map": {"AutoModel": "modeling.Evil"}}'),
        ("model_index.json", b'{"_class_name": ["pipeline", "Evil"]}'),
    ],
)
def test_a_configuration_that_brings_code_of_its_own_is_refused(
    hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path, name: str, config: bytes
) -> None:
    repos["maker/base"].files[name] = config
    with pytest.raises(BadWeights, match=f"{name} asks for code of its own"):
        pull(_entry(), tmp_path, endpoint=hub.url)
    assert not (tmp_path / "models.lock").exists()


def test_a_name_that_leads_outside_is_never_fetched(
    hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path
) -> None:
    repos["maker/base"].files["../evil.json"] = b"{}"
    repos["maker/base"].files[".hidden/x.json"] = b"{}"
    folder = pull(_entry(), tmp_path / "models", endpoint=hub.url)
    assert not [name for name in folder.parts[0].files if "evil" in name or "hidden" in name]


def test_a_gated_repository_says_how_to_get_in(hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path) -> None:
    repos["third/loras"].gated = True
    with pytest.raises(BadWeights, match=r"third/loras asks for consent to its licence: .*hf auth login"):
        pull(_entry(), tmp_path, endpoint=hub.url)


def test_a_login_is_shown_to_gated_repositories_only(
    hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_machine")
    repos["third/loras"].gated = True
    pull(_entry(loras=[{**ENTRY["loras"][0], "gated": True}]), tmp_path, endpoint=hub.url)
    assert hub.logged_in == {"third/loras"}


def test_a_licence_that_doesnt_allow_business_is_refused_before_anything_is_asked(hub: FakeHub, tmp_path: Path) -> None:
    entry = _entry(licence="CC-BY-NC-4.0", commercial_use="no")
    with pytest.raises(LicenceRefused, match=r"CC-BY-NC-4\.0: not for business; .*LISTING_MEDIA_ALLOW_LICENCES"):
        pull(entry, tmp_path, endpoint=hub.url)
    assert not hub.requests
    assert pull(entry, tmp_path, endpoint=hub.url, allowed_licences={"sdxl-like"}).origin == "pulled"


def test_parts_of_your_own_lie_in_folders_named_after_their_roles(
    hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    for role, repo in {"base": "maker/base", "vae": "other/vae", "fast": "third/loras"}.items():
        for name, data in repos[repo].files.items():
            path = own / role / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    pulled = pull(_entry(), tmp_path / "models", endpoint=hub.url)
    found = find_weights(_entry(), own, tmp_path / "nowhere")
    assert (found.origin, found.weights_sha256) == ("own folder", pulled.weights_sha256)
    (own / "vae/fixed/model.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"vae has no fixed/model\.safetensors"):
        find_weights(_entry(), own, tmp_path / "nowhere")


def test_a_shard_that_the_index_lists_has_to_be_there(tmp_path: Path) -> None:
    part = {"role": "base", "loads": "transformers.Model", "repo": "a/b", "size_mb": 1}
    entry = _entry(parts=[{**part, "files": ["x/*.json", "x/*.safetensors"]}], loras=[])
    (tmp_path / "x").mkdir()
    (tmp_path / "x/model-1.safetensors").write_bytes(safetensors())
    index = tmp_path / "x/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}))
    with pytest.raises(ModelMissing, match=r"has no x/model-2\.safetensors; `listing-media models pull sdxl-like`"):
        find_weights(entry, tmp_path, tmp_path)
    (tmp_path / "x/model-2.safetensors").write_bytes(safetensors())
    assert len(find_weights(entry, tmp_path, tmp_path).parts[0].weights) == 2
    index.write_text("[]")
    with pytest.raises(BadWeights, match="is no index of weights"):
        find_weights(entry, tmp_path, tmp_path)


def test_an_entry_made_for_tests_is_refused_whatever_its_card_says(hub: FakeHub, tmp_path: Path) -> None:
    entry = _entry(test_only=True)
    pull(entry, tmp_path, endpoint=hub.url)
    with pytest.raises(BadWeights, match="made for tests"):
        find_weights(entry, None, tmp_path)
    assert find_weights(entry, None, tmp_path, allow_test_weights=True).card.test_only


def test_a_folder_of_your_own_that_is_marked_as_made_for_tests_is_refused_by_way_of_the_catalogue_too(
    tmp_path: Path,
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/model.safetensors").write_bytes(safetensors())
    part = {"role": "base", "loads": "transformers.Model", "size_mb": 1, "files": ["model.safetensors"]}
    entry = _entry(parts=[{**part, "folder": str(tmp_path / "own")}], loras=[])
    assert not find_weights(entry, None, tmp_path).card.test_only
    (tmp_path / "own/listing_media.json").write_text('{"test_only": true}')
    with pytest.raises(BadWeights, match="made for tests"):
        find_weights(entry, None, tmp_path)
    assert find_weights(entry, None, tmp_path, allow_test_weights=True).card.test_only


def test_what_comes_with_the_package_is_always_here_and_checked() -> None:
    entry = catalogue_entry("yunet")
    folder = find_weights(entry, None, Path("/nowhere"))
    assert (folder.origin, folder.weights.name) == ("package", "face_detection_yunet_2023mar.onnx")
    (name, digest), *_ = entry.parts[0].digests.items()
    changed = entry.parts[0].model_copy(update={"digests": {name: digest.model_copy(update={"sha256": "0" * 64})}})
    with pytest.raises(BadWeights, match="its digest differs"):
        inspect_folder(entry.model_copy(update={"parts": (changed,)}), Path("/nowhere"))


def test_optional_files_are_fetched_where_there_are_any(
    hub: FakeHub, repos: Mapping[str, FakeRepo], tmp_path: Path
) -> None:
    lora = {**ENTRY["loras"][0], "optional_files": ["README.txt", "chat.jinja"]}
    repos["third/loras"].files["chat.jinja"] = b"{{ x }}"
    folder = pull(_entry(loras=[lora]), tmp_path, endpoint=hub.url)
    assert sorted(folder.parts[2].files) == ["chat.jinja", "fast.safetensors"]


def test_asking_for_a_part_that_isnt_there_names_those_that_are(hub: FakeHub, tmp_path: Path) -> None:
    folder = pull(_entry(), tmp_path, endpoint=hub.url)
    with pytest.raises(LookupError, match="it has base, vae, fast"):
        folder.part("controlnet")


def test_a_star_doesnt_cross_folders() -> None:
    names = ["a.json", "x/a.json", "x/y/a.json"]
    assert [matching(pattern, names) for pattern in ("*.json", "*/*.json", "x/y/*.json")] == [
        ["a.json"],
        ["x/a.json"],
        ["x/y/a.json"],
    ]
