"""What changed between checkpoints, what carries it, and what writes a feature."""
