"""What this machine can run models on, found out by running a kernel rather than by asking for names.

A GPU whose architecture the installed torch wasn't built for is listed by the driver and dies at the first kernel.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

GIB = 1024**3
_SIDE = 64  # of the matrices in the trial; 64³ is exact in every dtype tried


@dataclass(frozen=True)
class Hardware:
    """One device. Sizes are in GiB; `vram_gb` and `free_vram_gb` are 0 without CUDA, `memory_gb` is the machine's.

    `bf16` and `fp16` mean natively, not emulated. `fault` says why a GPU can't be used; on the CPU that `probe` falls
    back to, why no GPU is.
    """

    device: Literal["cuda", "cpu"]
    name: str
    memory_gb: float
    vram_gb: float = 0.0
    free_vram_gb: float = 0.0
    compute_capability: tuple[int, int] | None = None
    bf16: bool = False
    fp16: bool = False
    index: int = 0
    fault: str | None = None

    @property
    def torch_device(self) -> str:
        """Return the device as torch names it: "cpu" or "cuda:N"."""
        return f"cuda:{self.index}" if self.device == "cuda" else "cpu"

    def has(self, dtype: str) -> bool:
        """Tell whether it computes in "float32", "float16" or "bfloat16" natively."""
        return {"float32": True, "float16": self.fp16, "bfloat16": self.bf16}[dtype]

    def describe(self) -> str:
        if self.device == "cpu":
            return f"{self.name}, {self.memory_gb:.0f} GiB of memory"
        capability = ".".join(map(str, self.compute_capability or ()))
        return f"{self.name}, {self.free_vram_gb:.1f} of {self.vram_gb:.1f} GiB free, compute capability {capability}"


@lru_cache
def probe() -> Hardware:
    """Return what to run models on: the sound GPU with the most free VRAM, else the CPU.

    Asked once a process, before anything of ours lies in the VRAM, so that the choices made by it stay the same;
    `with_free_vram` asks anew what is free.
    """
    return best(probe_devices())


def best(devices: tuple[Hardware, ...]) -> Hardware:
    """Return the sound GPU with the most free VRAM, else the CPU with the reasons why it isn't a GPU."""
    gpus = [device for device in devices if device.device == "cuda"]
    sound = [gpu for gpu in gpus if gpu.fault is None]
    if sound:
        return max(sound, key=lambda gpu: gpu.free_vram_gb)
    cpu = next(device for device in devices if device.device == "cpu")
    faults = "; ".join(f"{gpu.name}: {gpu.fault}" for gpu in gpus)
    return replace(cpu, fault=faults or cpu.fault)


def probe_devices(torch: Any = None) -> tuple[Hardware, ...]:
    """Look at every GPU that this process sees, by running a kernel on it, and at the CPU, which comes last.

    `torch` is the library to ask; by default the installed one, imported here. Without one there is only the CPU.
    """
    cpu = Hardware(device="cpu", name=_cpu_name(), memory_gb=memory_bytes() / GIB)
    if torch is None:
        if importlib.util.find_spec("torch") is None:
            return (cpu,)
        try:
            torch = import_module("torch")
        except (ImportError, OSError) as broken:  # OSError: a library of CUDA's that isn't there
            return (replace(cpu, fault=f"torch can't be imported: {str(broken).splitlines()[0][:200]}"),)
    if not torch.cuda.is_available():
        return (cpu,)
    return (*(_look_at_gpu(torch, index, cpu.memory_gb) for index in range(torch.cuda.device_count())), cpu)


def with_free_vram(hardware: Hardware, torch: Any = None) -> Hardware:
    """Return `hardware` with the VRAM that is free at this moment."""
    if hardware.device == "cpu":
        return hardware
    if torch is None:
        import torch
    return replace(hardware, free_vram_gb=torch.cuda.mem_get_info(hardware.index)[0] / GIB)


def memory_bytes() -> int:
    """Return the memory this process may use: the machine's, or its container's where that is less."""
    import psutil

    return min(int(psutil.virtual_memory().total), _container_limit() or sys.maxsize)


def _look_at_gpu(torch: Any, index: int, memory_gb: float) -> Hardware:
    capability = tuple(torch.cuda.get_device_capability(index))
    seen = Hardware(
        device="cuda",
        name=str(torch.cuda.get_device_name(index)),
        memory_gb=memory_gb,
        compute_capability=(capability[0], capability[1]),
        # Ampere is the first with bf16 units. Pascal but for the P100 has fp16 at 1/64 of its speed.
        bf16=capability >= (8, 0),
        fp16=capability >= (7, 0) or capability == (6, 0),
        index=index,
    )
    try:
        free, total = torch.cuda.mem_get_info(index)
        seen = replace(seen, vram_gb=total / GIB, free_vram_gb=free / GIB)
        _run_kernels(torch, seen)
    except Exception as error:  # torch raises RuntimeError, AcceleratorError or worse: none of them may end the caller
        return replace(seen, fault=_said(torch, error, capability))
    return seen


def _run_kernels(torch: Any, gpu: Hardware) -> None:
    """Multiply two small matrices in each dtype the GPU should have; raises what CUDA does, or `RuntimeError`."""
    dtypes = ["float32", *(["float16"] if gpu.fp16 else []), *(["bfloat16"] if gpu.bf16 else [])]
    for dtype in dtypes:
        ones = torch.ones((_SIDE, _SIDE), device=gpu.torch_device, dtype=getattr(torch, dtype))
        total = float((ones @ ones).float().sum().item())
        if total != float(_SIDE**3):
            raise RuntimeError(f"it computes wrongly: a sum in {dtype} is {total:g}, not {_SIDE**3}")


def _said(torch: Any, error: Exception, capability: tuple[int, ...]) -> str:
    text = str(error).strip() or type(error).__name__
    if "no kernel image" in text or "NoKernelImage" in text:
        built_for = ", ".join(arch for arch in torch.cuda.get_arch_list() if arch.startswith("sm_"))
        architecture = "sm_" + "".join(map(str, capability))
        return f"torch {torch.__version__} has no kernels for {architecture} (it is built for {built_for})"
    return text.splitlines()[0][:200]


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine() or "CPU"


def _container_limit() -> int | None:
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return int(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return None
