"""Replication: what holds across runs, and what one factor changes."""
