"""Model jobs on Kaggle: shared sessions, driven through the unmodified client, recorded so that they survive us."""
