"""Users' pieces keep their materials and get their stated size; what can't be used says why and what to do."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.furniture.designs import Kind
from listing_media_dagster.staging.furniture.own_furniture import BadFurniture, load_own_furniture


def describe(folder: Path, **keys: object) -> None:
    said = {"name": "my-bench", "file": "bench.glb", "kind": "bench", "width": 1.2, **keys}
    (folder / "bench.yaml").write_text(json.dumps({k: v for k, v in said.items() if v is not None}))


def save_bench(folder: Path, extents: tuple[float, float, float] = (120, 45, 40), name: str = "bench.glb") -> None:
    """A box in centimetres, painted red at roughness 0.3."""
    box = trimesh.creation.box(extents)
    box.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(
            name="paint", baseColorFactor=(204, 20, 20, 255), roughnessFactor=0.3, metallicFactor=0.0
        )
    )
    box.export(folder / name)


def size_of(parts: list[Part]) -> np.ndarray:
    return np.ptp(np.concatenate([part.vertices for part in parts]), axis=0)


def refusal(folder: Path) -> str:
    with pytest.raises(BadFurniture) as caught:
        load_own_furniture(folder)
    assert "bench.yaml" in str(caught.value) or "second.yaml" in str(caught.value)
    return str(caught.value)


def test_a_glb_in_centimetres_comes_out_in_metres_on_the_floor(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path)
    design = load_own_furniture(tmp_path)["my-bench"]
    assert design.kind == Kind.BENCH
    assert np.allclose(design.size, (1.2, 0.45, 0.4))
    parts = design.build(design.size, 0)
    assert np.allclose(size_of(parts), design.size, atol=1e-5)
    assert min(part.vertices[:, 1].min() for part in parts) == pytest.approx(0, abs=1e-6)


def test_base_colour_and_roughness_of_the_file_are_kept(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path)
    design = load_own_furniture(tmp_path)["my-bench"]
    material = design.materials["paint"]
    assert design.roles == ("paint",)
    assert material.colour == pytest.approx((0.8, 20 / 255, 20 / 255), abs=0.01)  # glTF factors are linear
    assert material.gloss == pytest.approx(0.09)


@pytest.mark.parametrize("includes_normals", [True, False])
def test_a_file_without_normals_has_flat_faces_and_one_with_them_keeps_its_own(
    tmp_path: Path, includes_normals: bool
) -> None:
    scene = trimesh.Scene([trimesh.creation.box((1.2, 0.45, 0.4))])
    (tmp_path / "bench.glb").write_bytes(trimesh.exchange.gltf.export_glb(scene, include_normals=includes_normals))
    describe(tmp_path)
    design = load_own_furniture(tmp_path)["my-bench"]
    (box,) = design.build(design.size, 0)
    along_an_axis = np.isclose(np.abs(box.normals).max(axis=1), 1.0, atol=1e-5)
    assert along_an_axis.all() if not includes_normals else not along_an_axis.any()
    corners = box.vertices[box.faces]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((facing * box.normals[box.faces[:, 0]]).sum(axis=1) > 0).all()


def test_a_texture_lies_the_way_up_it_was_painted(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4] = (255, 255, 255)  # the upper half is white
    plane = trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [(0, 1, 2), (0, 2, 3)], process=False)
    material = trimesh.visual.material.PBRMaterial(name="print", baseColorTexture=Image.fromarray(picture))
    plane.visual = trimesh.visual.TextureVisuals(uv=[(0, 0), (1, 0), (1, 1), (0, 1)], material=material)
    frame = trimesh.creation.box((1, 1, 0.05))
    trimesh.Scene([plane, frame]).export(tmp_path / "bench.glb")
    describe(tmp_path, kind="art", width=0.5)
    design = load_own_furniture(tmp_path)["my-bench"]
    colour = design.materials["print"].colour
    assert isinstance(colour, np.ndarray)
    canvas = next(part for part in design.build(design.size, 0) if part.material == "print")
    top = canvas.uv[canvas.vertices[:, 1] > 0.4, 1].mean()
    assert colour[int(top * 7)].mean() > 0.9  # mitsuba's v = 0 is the first row
    assert colour[int((1 - top) * 7)].mean() < 0.1


def test_an_obj_with_its_material_beside_it(tmp_path: Path) -> None:
    box = trimesh.creation.box((1.2, 0.45, 0.4))
    (tmp_path / "bench.obj").write_text(
        "mtllib bench.mtl\nusemtl oak\n" + box.export(file_type="obj", include_normals=False)
    )
    (tmp_path / "bench.mtl").write_text("newmtl oak\nKd 0.8 0.5 0.2\n")
    describe(tmp_path, file="bench.obj")
    design = load_own_furniture(tmp_path)["my-bench"]
    colour = next(iter(design.materials.values())).colour
    assert colour == pytest.approx((0.604, 0.214, 0.033), abs=0.02)  # Kd is sRGB


def test_axes_turn_a_z_up_piece_that_looks_along_minus_y(tmp_path: Path) -> None:
    save_bench(tmp_path, (120, 40, 45))  # width, depth, height
    describe(tmp_path, up="z", front="-y")
    design = load_own_furniture(tmp_path)["my-bench"]
    assert np.allclose(design.size, (1.2, 0.45, 0.4))


def test_a_finish_replaces_a_material_of_the_file(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path, finishes={"paint": {"surface": "metal_black", "colour": "#101010"}})
    material = load_own_furniture(tmp_path)["my-bench"].materials["paint"]
    assert max(material.colour) < 0.01


def test_a_finish_for_a_material_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path, finishes={"seat": {"surface": "metal_black", "colour": "#101010"}})
    assert "'seat'" in refusal(tmp_path)
    assert "paint" in refusal(tmp_path)


def test_an_unknown_surface_is_refused(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path, finishes={"paint": {"surface": "unobtainium", "colour": "#101010"}})
    assert "unobtainium" in refusal(tmp_path)


def test_a_broken_glb_is_refused(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path)
    whole = (tmp_path / "bench.glb").read_bytes()
    for broken in (b"", b"no glb at all", whole[: len(whole) // 2]):
        (tmp_path / "bench.glb").write_bytes(broken)
        assert "bench.glb" in refusal(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    describe(tmp_path)
    assert "'bench.glb' is not in" in refusal(tmp_path)


@pytest.mark.parametrize("file", ["../outside.glb", "/etc/hostname", "https://example.com/bench.glb"])
def test_a_file_outside_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    inside = tmp_path / "furniture"
    inside.mkdir()
    save_bench(tmp_path, name="outside.glb")
    describe(inside, file=file)
    assert "outside" in refusal(inside)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "furniture"
    inside.mkdir()
    save_bench(tmp_path, name="outside.glb")
    (inside / "bench.glb").symlink_to(tmp_path / "outside.glb")
    describe(inside)
    assert "outside" in refusal(inside)


def test_a_gltf_that_refers_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "furniture"
    inside.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(36))
    gltf = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "buffers": [{"uri": "../secret.bin", "byteLength": 36}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    }
    (inside / "bench.gltf").write_text(json.dumps(gltf))
    describe(inside, file="bench.gltf")
    assert "outside" in refusal(inside)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bench.blend").write_bytes(b"BLENDER")
    describe(tmp_path, file="bench.blend")
    assert ".glb, .gltf, .obj" in refusal(tmp_path)


@pytest.mark.parametrize(("keys", "said"), [
    ({"width": 0.01}, "0.01 m"),
    ({"width": 40}, "40 m"),
    ({"width": None, "height": 5.0}, "width comes out as"),
    ({"width": None}, "no dimension"),
    ({"width": float("nan")}, "width"),
    ({"width": -1.0}, "width"),
])  # fmt: skip
def test_absurd_dimensions_are_refused(tmp_path: Path, keys: dict[str, object], said: str) -> None:
    save_bench(tmp_path)
    describe(tmp_path, **keys)
    assert said in refusal(tmp_path)


def test_dimensions_that_contradict_the_file_are_refused(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path, width=1.2, height=0.45, depth=0.8)
    assert "120 x 45 x 40" in refusal(tmp_path)
    describe(tmp_path, width=1.2, height=0.5, depth=0.4)  # 11 % off: measured with a tape
    assert np.allclose(load_own_furniture(tmp_path)["my-bench"].size, (1.2, 0.5, 0.4))


def test_a_model_without_triangles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bench.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    describe(tmp_path, file="bench.obj")
    assert "bench.obj" in refusal(tmp_path)


def test_too_many_triangles_are_refused_before_they_are_built(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=5)  # 20 480 triangles, shown 30 times
    scene = trimesh.Scene()
    for k in range(30):
        scene.add_geometry(
            ball, geom_name="ball", node_name=f"n{k}", transform=trimesh.transformations.translation_matrix((k, 0, 0))
        )
    scene.export(tmp_path / "bench.glb")
    describe(tmp_path)
    assert "614400 triangles" in refusal(tmp_path)


def test_an_unknown_kind_and_an_unknown_key_are_named(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path, kind="spaceship")
    assert "'spaceship'" in refusal(tmp_path)
    describe(tmp_path, colour="red")
    assert "unknown key 'colour'" in refusal(tmp_path)


def test_yaml_that_is_none_is_refused(tmp_path: Path) -> None:
    for text in ("a: [", "just words", ""):
        (tmp_path / "bench.yaml").write_text(text)
        assert refusal(tmp_path)


def test_two_pieces_of_one_name_are_refused(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path)
    (tmp_path / "second.yaml").write_text((tmp_path / "bench.yaml").read_text())
    assert "my-bench" in refusal(tmp_path)


def test_a_built_in_name_is_refused(tmp_path: Path) -> None:
    save_bench(tmp_path)
    describe(tmp_path, name="coffee_table_round")
    assert "built-in" in refusal(tmp_path)


def test_the_manual_s_example_loads(tmp_path: Path) -> None:
    from listing_media_dagster.staging.furniture import own_furniture

    lines = (own_furniture.__doc__ or "").split("\n\n", 1)[1]
    (tmp_path / "oak.yaml").write_text(textwrap.dedent(lines).replace("seat:", "paint:"))
    save_bench(tmp_path, name="oak_bench.glb")
    assert load_own_furniture(tmp_path)["oak-bench"].size[0] == pytest.approx(1.4)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFurniture, match="no such folder"):
        load_own_furniture(tmp_path / "nowhere")


def edit_gltf(folder: Path, **changes: object) -> None:
    """A triangle as glTF with some of its top-level entries changed."""
    corners = np.array([(0, 0, 0), (1, 0, 0.3), (0, 1, 0.1)], np.float32).tobytes()
    whole = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "material": 0}]}],
        "materials": [{}],
        "buffers": [{"byteLength": 36, "uri": "corners.bin"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    }
    (folder / "corners.bin").write_bytes(corners)
    (folder / "bench.gltf").write_text(json.dumps({**whole, **changes}))
    describe(folder, file="bench.gltf")


PAINTED = {
    "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
    "textures": [{"source": 0}],
    "images": [{"uri": "paint.png"}],
}


@pytest.mark.parametrize(("changes", "said"), [
    ({}, None),
    ({"accessors": [{"componentType": 5126, "count": 300_000_000, "type": "VEC3"}]}, "announces 300000000"),
    ({"nodes": [{"mesh": 0}] * 100_000}, "100000 nodes"),
    ({"nodes": [{"children": [1]}, {"children": [0], "mesh": 0}]}, "can't be read"),
    ({"extensionsRequired": ["KHR_draco_mesh_compression"]}, "without compression"),
    ({"buffers": [{"byteLength": 36, "uri": "gone.bin"}]}, "'gone.bin' is not in"),
    (PAINTED, "'paint.png' is not in"),
])  # fmt: skip
def test_a_gltf_that_lies_or_lacks_is_refused_at_once(
    tmp_path: Path, changes: dict[str, object], said: str | None
) -> None:
    edit_gltf(tmp_path, **changes)
    if said is None:
        assert load_own_furniture(tmp_path)
    else:
        assert said in refusal(tmp_path)


def test_a_texture_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "paint.png").write_bytes(b"no picture")
    edit_gltf(tmp_path, **PAINTED)
    assert "texture paint.png can't be read" in refusal(tmp_path)


def test_yaml_that_would_grow_without_bound_is_refused(tmp_path: Path) -> None:
    for text in ("name: &a [*a]\n", "[" * 20_000):
        (tmp_path / "bench.yaml").write_text(text)
        assert refusal(tmp_path)
