"""Fitting a shared basis, choosing one, and judging it."""
