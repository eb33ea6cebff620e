"""The sampler of FastWan: Wan distilled to three steps by distribution matching (DMD), noised anew between them."""

from __future__ import annotations

from typing import Any

# Time steps 1000, 757 and 522 (hao-ai-lab/FastVideo, docs/distillation/dmd.md); the flow shift of 5 is in them already.
SIGMAS = (1.0, 0.757, 0.522)


def dmd_scheduler() -> Any:
    """Return a diffusers scheduler of these three steps; set its `noise` to a torch generator before every film.

    Wan's pipeline doesn't hand its generator on to the scheduler, whose noise would come from the global state: the
    same seed would give another film each time.
    """
    import torch
    from diffusers.schedulers.scheduling_flow_match_lcm import FlowMatchLCMScheduler

    class DistributionMatchingScheduler(FlowMatchLCMScheduler):
        noise: torch.Generator | None = None

        def set_timesteps(self, *_: Any, device: str | torch.device | None = None, **__: Any) -> None:
            super().set_timesteps(sigmas=list(SIGMAS), device=device)

        def step(
            self, model_output: Any, timestep: Any, sample: Any, generator: Any = None, return_dict: bool = True
        ) -> Any:
            return super().step(model_output, timestep, sample, generator or self.noise, return_dict)

    return DistributionMatchingScheduler(shift=1.0)
