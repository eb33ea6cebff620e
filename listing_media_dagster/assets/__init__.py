"""The pipeline, one file a stage, in this order: raw, preprocessed, enhanced, staged, scored, filmed, packaged."""
