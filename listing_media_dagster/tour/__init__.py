"""The tour video: storyboard, camera moves, titles and encoding."""
