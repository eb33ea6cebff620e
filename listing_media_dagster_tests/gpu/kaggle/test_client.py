"""The unmodified client against an API that misbehaves."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from listing_media_dagster.gpu.kaggle.cargo import write_dataset_metadata
from listing_media_dagster.gpu.kaggle.client import BackOff, KaggleClient, KaggleError
from listing_media_dagster_tests.gpu.kaggle.conftest import AT_ONCE
from listing_media_dagster_tests.helpers.fake_kaggle import KEY, TOKEN, FakeKaggle
from listing_media_dagster_tests.helpers.gpu_runs import command_lines_of_children

DATASET = "alice/some-dataset"
KERNEL = "alice/some-kernel"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "data.bin").write_bytes(bytes(range(256)) * 4000)
    write_dataset_metadata(folder, DATASET, "some dataset")
    return folder


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / "kernel.py").write_text("print('hello', flush=True)")
    metadata: dict[str, Any] = {"id": KERNEL, "title": "some kernel", "code_file": "kernel.py", "is_private": True}
    metadata |= {"language": "python", "kernel_type": "script", "dataset_sources": [DATASET]}
    (folder / "kernel-metadata.json").write_text(json.dumps(metadata))
    return folder


def push(client: KaggleClient, kernel: Path) -> None:
    client.push_kernel(kernel, KERNEL, timeout_seconds=60, machine_shape="NvidiaTeslaT4")


@pytest.mark.parametrize(("auth", "method"), [("token", "ACCESS_TOKEN"), ("legacy", "LEGACY_API_KEY")])
def test_both_kinds_of_credentials_sign_in(kaggle: FakeKaggle, tmp_path: Path, auth: Any, method: str) -> None:
    client = KaggleClient(kaggle.client_environment(tmp_path, auth=auth))
    assert (client.who_am_i().user, client.who_am_i().method) == ("alice", method)
    kaggle.gpu_seconds_used = 29.7 * 3600
    assert client.quota().left_seconds == pytest.approx(0.3 * 3600)
    client.close()


def test_without_credentials_the_client_ends_its_own_process_and_not_ours(kaggle: FakeKaggle, tmp_path: Path) -> None:
    client = KaggleClient(kaggle.client_environment(tmp_path, auth="none"), back_off=AT_ONCE)
    with pytest.raises(KaggleError, match="credentials") as refused:
        client.who_am_i()
    assert refused.value.kind == "signed out" and not refused.value.is_passing
    client.close()


def test_a_cut_upload_goes_on_and_a_failed_one_leaves_no_empty_dataset(
    kaggle: FakeKaggle, client: KaggleClient, dataset: Path
) -> None:
    kaggle.faults.cut_uploads = 2
    client.create_dataset(dataset, DATASET)
    assert kaggle.uploaded[0].read_bytes() == (dataset / "data.bin").read_bytes()
    assert kaggle.datasets[DATASET].private
    client.delete_dataset(DATASET)
    kaggle.faults.uploads_refused = 99
    with pytest.raises(KaggleError, match=r"upload of data.bin broke off"):
        client.create_dataset(dataset, DATASET)
    assert not kaggle.datasets


def test_storms_of_429_and_503_are_waited_out_and_not_for_ever(
    kaggle: FakeKaggle, client: KaggleClient, dataset: Path
) -> None:
    kaggle.faults.answer_429 = 2
    kaggle.faults.answer_503["GetAcceleratorQuotaStatistics"] = 2
    assert client.quota().allowed_seconds == 30 * 3600
    kaggle.faults.answer_503["GetAcceleratorQuotaStatistics"] = 99
    with pytest.raises(KaggleError, match="503") as unanswered:
        client.quota()
    assert unanswered.value.is_passing


def test_calls_whose_answer_is_lost_are_not_done_twice(
    kaggle: FakeKaggle, client: KaggleClient, dataset: Path, kernel: Path
) -> None:
    kaggle.faults.answer_lost.update(CreateDataset=1, SaveKernel=1)
    client.create_dataset(dataset, DATASET)
    push(client, kernel)
    assert (len(kaggle.datasets), len(kaggle.sessions)) == (1, 1)


def test_refusals_that_come_with_status_200_are_errors(
    kaggle: FakeKaggle, client: KaggleClient, dataset: Path, kernel: Path
) -> None:
    with pytest.raises(KaggleError, match="couldn't attach dataset alice/some-dataset"):
        push(client, kernel)
    kaggle.faults.save_error = "Maximum batch GPU session count of 2 reached."
    with pytest.raises(KaggleError, match="session count of 2"):
        push(client, kernel)
    write_dataset_metadata(dataset, "alice/Upper-Case", "Upper case")
    with pytest.raises(KaggleError, match="invalid"):
        client.create_dataset(dataset, "alice/Upper-Case")


def test_a_server_that_never_answers_is_given_up_and_a_stopped_call_ends_at_once(
    kaggle: FakeKaggle, tmp_path: Path
) -> None:
    client = KaggleClient(kaggle.client_environment(tmp_path), back_off=BackOff(tries=1))
    client.who_am_i()
    client.seconds_a_call = 1.0
    kaggle.held.add("GetAcceleratorQuotaStatistics")
    with pytest.raises(KaggleError, match="no answer within 1 s"):
        client.quota()

    def stop() -> None:
        raise KeyboardInterrupt

    stopped = KaggleClient(kaggle.client_environment(tmp_path), while_waiting=stop)
    with pytest.raises(KeyboardInterrupt):
        stopped.quota()  # the server still holds it, and a call may take minutes
    assert stopped._process is None
    kaggle.held.clear()


def test_a_log_is_followed_while_the_session_runs(
    kaggle: FakeKaggle, client: KaggleClient, dataset: Path, kernel: Path
) -> None:
    (kernel / "kernel.py").write_text("print('one', flush=True)\nimport time; time.sleep(0.3)\nprint('two')")
    client.create_dataset(dataset, DATASET)
    push(client, kernel)
    log = client.follow_log(KERNEL)
    lines: list[str] = []
    while not log.is_over:
        lines += log.new_lines()
        threading.Event().wait(0.02)
    assert "".join(lines).split() == ["one", "two"]
    assert client.outputs(KERNEL).log == ("one", "two")


def test_nothing_secret_is_in_a_message_or_in_arguments(kaggle: FakeKaggle, tmp_path: Path) -> None:
    environment = kaggle.client_environment(tmp_path) | {"KAGGLE_KEY": KEY}
    client = KaggleClient(environment, back_off=BackOff(tries=1))
    client.who_am_i()
    arguments = [word for words in command_lines_of_children() for word in words]
    assert any("client_process" in word for word in arguments)
    assert not any(TOKEN in word or KEY in word for word in arguments)
    kaggle.faults.save_error = f"bad token {TOKEN} at https://storage.example/x?signature=abc123"
    (tmp_path / "kernel.py").write_text("")
    (tmp_path / "kernel-metadata.json").write_text(
        json.dumps(
            {"id": KERNEL, "title": "some kernel", "code_file": "kernel.py"}
            | {"language": "python", "kernel_type": "script"}
        )
    )
    with pytest.raises(KaggleError) as refused:
        push(client, tmp_path)
    assert TOKEN not in str(refused.value) and "abc123" not in str(refused.value)
    client.close()
