"""What is stale, and why: the one authority. See `livingpaper.staleness.verdict`."""
