import json

import pytest

from listing_media_dagster.models.comfyui.workflow import (
    BadWorkflow,
    Task,
    load_workflow,
    read_workflow,
    shipped_workflows,
)


def graph(**inputs):
    load = {"class_type": "LoadImage", "inputs": {"image": "{{image}}"}}
    sample = {"class_type": "KSampler", "inputs": {"seed": "{{seed}}", "text": "a room, {{prompt}}", "from": ["1", 0]}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["2", 0], **inputs}}
    return {"1": load, "2": sample, "3": save}


def read(nodes, task=Task.EDIT):
    return read_workflow(json.dumps(nodes), "mine.json", task)


def test_every_shipped_workflow_can_be_read_and_says_that_it_was_not_run_live():
    shipped = shipped_workflows()
    assert set(shipped) == {"qwen_image_edit", "wan22_i2v", "fastwan_i2v", "infinitetalk_presenter"}
    for name, task in shipped.items():
        assert load_workflow(name, task).output


def test_a_place_that_is_all_of_an_input_keeps_the_values_type():
    filled = read(graph()).filled({"image": "a.png", "prompt": "sofa", "seed": 7})
    assert filled["2"]["inputs"]["seed"] == 7
    assert filled["2"]["inputs"]["text"] == "a room, sofa"


def test_what_is_filled_in_is_not_searched_for_places_again():
    filled = read(graph()).filled({"image": "a.png", "prompt": "{{seed}} {{image}}", "seed": 7})
    assert filled["2"]["inputs"]["text"] == "a room, {{seed}} {{image}}"


def test_a_place_without_a_value_is_named():
    with pytest.raises(BadWorkflow, match="wants lora,"):
        read(graph(lora="{{lora}}")).filled({"image": "a.png", "prompt": "sofa", "seed": 7})


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ({"nodes": [], "links": []}, "Export"),
        ({}, "has no nodes"),
        ({"1": {"inputs": {}}}, "node 1 has no class_type"),
        ({**graph(), "3": {"class_type": "SaveImage", "inputs": {"images": ["9", 0]}}}, "node 9, which"),
        ({**graph(), "4": {"class_type": "SaveImage", "inputs": {}}}, "title 'output'"),
        ({"1": graph()["1"], "2": graph()["2"]}, "no node saves a result"),
        (graph(x="{{sofa_colour}}"), "sofa_colour"),
        ({**graph(), "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}, "no place for image"),
        ({**graph(), "listing_media": "edit"}, "an object that names the task"),
    ],
)
def test_a_graph_that_cannot_be_used_is_refused_by_name(nodes, says):
    with pytest.raises(BadWorkflow, match=says):
        read(nodes)


def test_a_workflow_for_another_task_is_refused():
    with pytest.raises(BadWorkflow, match="for the task 'animate', not 'edit'"):
        load_workflow("fastwan_i2v", Task.EDIT)


def test_a_file_that_is_not_there_is_refused_with_the_shipped_ones_named(tmp_path):
    with pytest.raises(BadWorkflow, match="qwen_image_edit"):
        load_workflow(str(tmp_path / "none.json"), Task.EDIT)


def test_a_titled_output_is_preferred():
    two = {**graph(), "4": {"class_type": "SaveImage", "inputs": {}, "_meta": {"title": "Output"}}}
    assert read(two).output == "4"


@pytest.mark.parametrize("about", [None, [1], {"title": None}, {"title": 3}])
def test_a_node_whose_title_is_none_has_none(about):
    nodes = graph()
    nodes["3"]["_meta"] = about
    assert read(nodes).output == "3"


def test_a_graph_nested_too_deeply_is_refused():
    with pytest.raises(BadWorkflow, match="isn't JSON"):
        read_workflow('{"1":' + "[" * 200_000, "mine.json", Task.EDIT)
