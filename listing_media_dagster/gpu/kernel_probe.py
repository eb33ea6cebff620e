"""Ask `models.hardware` about the one GPU that a process may see: `python -m listing_media_dagster.gpu.kernel_probe`.

Exit code 0 if it runs kernels; 1 with the reason as the last line of standard output.
"""

from __future__ import annotations

import importlib.util
import sys

from listing_media_dagster.models.hardware import probe


def main() -> int:
    found = probe()
    if found.device == "cuda":
        return 0
    has_torch = importlib.util.find_spec("torch") is not None
    no_torch = "PyTorch isn't installed: pip install 'listing-media-dagster[models]'"
    print(found.fault or ("PyTorch finds no CUDA device" if has_torch else no_torch))
    return 1


if __name__ == "__main__":
    sys.exit(main())
