"""Where media lies: one interface over a folder and S3, and the I/O manager that makes every value a checked claim."""
