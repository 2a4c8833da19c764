"""Sparse features of the residual stream that mean the same at every checkpoint: fitting a basis, and judging it."""
