"""Warm GPU workers: Celery hands out the jobs, Redis holds what is known of each, the media store their files."""
