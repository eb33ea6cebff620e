"""Setting a photo in motion with image-to-video models."""
