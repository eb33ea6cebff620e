"""What a machine says of itself: GPUs that work, that only look as if they did, and none at all."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from listing_media_dagster.models import hardware
from listing_media_dagster.models.hardware import GIB, best, probe, probe_devices, with_free_vram


class _FakeTensor:
    """As much of a tensor as a trial of a kernel touches."""

    def __init__(self, gpu: _FakeGpu, dtype: str) -> None:
        self.gpu, self.dtype = gpu, dtype

    def __matmul__(self, other: _FakeTensor) -> _FakeTensor:
        if self.gpu.error:
            raise RuntimeError(self.gpu.error)
        self.gpu.ran.append(self.dtype)
        return self

    def float(self) -> _FakeTensor:
        return self

    def sum(self) -> _FakeTensor:
        return self

    def item(self) -> float:
        return 64.0**3 if self.gpu.computes_right else 7.0


class _FakeGpu:
    def __init__(
        self,
        name: str,
        capability: tuple[int, int],
        total: float,
        free: float,
        *,
        error: str = "",
        computes_right: bool = True,
    ) -> None:
        self.name, self.capability, self.total, self.free = name, capability, total, free
        self.error, self.computes_right = error, computes_right
        self.ran: list[str] = []


def _torch(*gpus: _FakeGpu) -> Any:
    """Return as much of torch as the probe asks, on a machine with these GPUs."""
    cuda = SimpleNamespace(
        is_available=lambda: bool(gpus),
        device_count=lambda: len(gpus),
        get_device_name=lambda index: gpus[index].name,
        get_device_capability=lambda index: gpus[index].capability,
        mem_get_info=lambda index: (int(gpus[index].free * GIB), int(gpus[index].total * GIB)),
        get_arch_list=lambda: ["sm_75", "sm_80", "sm_90", "compute_90"],
    )

    def ones(size: tuple[int, int], *, device: str, dtype: str) -> _FakeTensor:
        return _FakeTensor(gpus[int(device.removeprefix("cuda:"))], dtype)

    names = {dtype: dtype for dtype in ("float32", "float16", "bfloat16")}
    return SimpleNamespace(__version__="2.15.0", cuda=cuda, ones=ones, **names)


T4 = ("Tesla T4", (7, 5), 14.6)
NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be …"


def test_a_gpu_is_tried_in_every_dtype_it_has() -> None:
    t4, h200 = _FakeGpu(*T4, free=14.1), _FakeGpu("H200", (9, 0), 139.8, free=138.0)
    devices = probe_devices(_torch(t4, h200))
    assert (t4.ran, h200.ran) == (["float32", "float16"], ["float32", "float16", "bfloat16"])
    assert [(device.name, device.bf16, device.fp16, device.fault) for device in devices[:2]] == [
        ("Tesla T4", False, True, None),
        ("H200", True, True, None),
    ]
    assert (devices[0].vram_gb, devices[0].free_vram_gb) == (pytest.approx(14.6), pytest.approx(14.1))
    assert devices[0].compute_capability == (7, 5)
    assert devices[-1].device == "cpu"


def test_a_gpu_without_kernels_is_refused_with_the_reason() -> None:
    p100 = _FakeGpu("Tesla P100", (6, 0), 15.9, free=15.6, error=NO_KERNEL)
    devices = probe_devices(_torch(p100))
    assert devices[0].fault == "torch 2.15.0 has no kernels for sm_60 (it is built for sm_75, sm_80, sm_90)"
    chosen = best(devices)
    assert chosen.device == "cpu"
    assert chosen.fault is not None and chosen.fault.startswith("Tesla P100: torch 2.15.0 has no kernels")


def test_a_gpu_that_computes_wrongly_is_refused() -> None:
    broken = _FakeGpu(*T4, free=14, computes_right=False)
    assert "computes wrongly" in str(probe_devices(_torch(broken))[0].fault)


def test_a_gpu_whose_driver_fails_costs_one_line() -> None:
    fallen = _FakeGpu(*T4, free=14, error="CUDA error: unspecified launch failure\nmore\nlines")
    assert probe_devices(_torch(fallen))[0].fault == "CUDA error: unspecified launch failure"


def test_the_sound_gpu_with_the_most_free_memory_is_taken() -> None:
    gpus = _FakeGpu(*T4, free=3), _FakeGpu(*T4, free=14), _FakeGpu("H200", (9, 0), 139, 138, error=NO_KERNEL)
    chosen = best(probe_devices(_torch(*gpus)))
    assert (chosen.index, chosen.torch_device) == (1, "cuda:1")


def test_free_vram_can_be_asked_anew() -> None:
    gpu = _FakeGpu(*T4, free=14)
    torch = _torch(gpu)
    seen = probe_devices(torch)[0]
    gpu.free = 2
    assert with_free_vram(seen, torch).free_vram_gb == pytest.approx(2)
    cpu = probe_devices(_torch())[0]
    assert with_free_vram(cpu) is cpu


def test_without_torch_there_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (cpu,) = probe_devices()
    assert cpu.device == "cpu" and cpu.memory_gb > 0 and cpu.name and cpu.fault is None


def test_a_torch_that_cant_be_imported_leaves_the_cpu_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(hardware, "import_module", fail)
    chosen = best(probe_devices())
    assert chosen.device == "cpu" and "libcudart.so.13" in str(chosen.fault)


def test_this_machine_can_be_probed_once_and_described() -> None:
    here = probe()
    assert here is probe()
    assert here.name in here.describe()


def test_a_containers_limit_counts_where_it_is_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_container_limit", lambda: 2 * GIB)
    assert hardware.memory_bytes() == 2 * GIB
