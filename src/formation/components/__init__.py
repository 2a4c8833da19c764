"""What the inside of a model does at a checkpoint: residual states, heads, MLP blocks, and how they move."""
