"""The ways model work can go: this process, a warm worker, a Kaggle kernel, Colab, a ComfyUI server."""
