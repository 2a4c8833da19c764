"""Geometry of relation and path: what the data demands, and how the model's parts could meet it."""
