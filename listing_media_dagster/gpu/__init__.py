"""Where model work runs: routes to a local CUDA device or to remote ones."""
