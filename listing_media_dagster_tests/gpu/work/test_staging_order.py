"""Staging jobs as data: kits, layouts and own furniture come out of JSON as they went in."""

import json

import pytest

from listing_media_dagster.gpu.job import BadJob, Item, JobFolder, ModelJob, WorkKind, job_file
from listing_media_dagster.gpu.work.bench import Bench, Task
from listing_media_dagster.gpu.work.furniture import PACKED_FURNITURE, designs_of, pack_furniture
from listing_media_dagster.gpu.work.staging_order import BackEndRef, StagingOrder, diffusion_version
from listing_media_dagster.listing import Room
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.furniture.own_furniture import BadFurniture
from listing_media_dagster.staging.kits import load_kits
from listing_media_dagster.staging.rendered import RenderedStaging

OBJ = """v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1
f 1 3 2\nf 1 4 3\nf 5 6 7\nf 5 7 8\nf 1 2 6\nf 1 6 5\nf 4 7 3\nf 4 8 7\nf 1 5 8\nf 1 8 4\nf 2 3 7\nf 2 7 6\n"""


@pytest.mark.parametrize("kit", sorted(load_kits()))
def test_every_kit_travels_and_gives_the_same_pictures_there(kit):
    kits = load_kits()
    travelled = json.loads(json.dumps(StagingOrder(room=Room(), kit=kits[kit]).as_parameters()))
    arrived = StagingOrder.model_validate(travelled).kit
    there = RenderedStaging({kit: arrived}, library()).version_for(kit)
    assert there == RenderedStaging(kits, library()).version_for(kit)
    for where, choice in kits[kit].all_choices():
        assert dict(arrived.all_choices())[where] == choice


def test_another_model_is_another_version(tmp_path):
    rendered = RenderedStaging(load_kits(), library())
    refs = [BackEndRef(name="diffusion", models=({"id": name},)) for name in ("sdxl-union", "sd15-inpaint")]
    one, other = (diffusion_version(ref, rendered, "modern") for ref in refs)
    assert len({one, other, rendered.version_for("modern")}) == 3


def task_with(tmp_path, packed):
    brought = job_file(f"inputs/{PACKED_FURNITURE}", packed)
    job = ModelJob(id="own", kind=WorkKind.STAGE, inputs={PACKED_FURNITURE: brought}, items=(Item(id="room"),))
    folder = JobFolder.create(tmp_path / "job", job, {brought.path: packed})
    return Task(job, job.items[0], folder), Bench("cpu", WarmModels(), tmp_path)


def test_own_furniture_travels_as_one_file_that_is_the_same_each_time(tmp_path):
    own = tmp_path / "furniture"
    own.mkdir()
    (own / "box.obj").write_text(OBJ)
    (own / "box.yaml").write_text("name: my-box\nfile: box.obj\nkind: pouf\nheight: 0.4\n")
    packed = pack_furniture(own)
    (own / "box.yaml").touch()
    assert pack_furniture(own) == packed
    designs = designs_of(*task_with(tmp_path, packed))
    assert designs["my-box"].size[1] == pytest.approx(0.4) and set(library()) < set(designs)


def test_furniture_that_cannot_be_used_is_refused_with_its_file(tmp_path):
    own = tmp_path / "furniture"
    own.mkdir()
    (own / "box.yaml").write_text("name: my-box\nfile: gone.obj\nkind: pouf\nheight: 0.4\n")
    with pytest.raises(BadFurniture, match=r"box\.yaml"):
        designs_of(*task_with(tmp_path, pack_furniture(own)))
    with pytest.raises(BadJob, match="can't be unpacked"):
        designs_of(*task_with(tmp_path / "other", b"no zip"))
