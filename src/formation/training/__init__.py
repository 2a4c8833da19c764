"""Training: deterministic, resumable, replayable from any checkpoint."""
