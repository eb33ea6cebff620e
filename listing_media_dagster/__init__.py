"""Listing media as software-defined assets: photos of a home in, publishable media out."""

import os

# Before numpy is loaded: its matrices are small here, and its idle threads would spin on cores that photos need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
