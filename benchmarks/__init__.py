"""Benchmarks of the press: how long it takes, beside peers that do the same work, and how that grows.

`make bench` runs them all and writes `docs/benchmarks.md`; `BENCH=quick` is a smaller run that writes below `build/`.
Nothing here is a test: a machine that is busy with other things is slow, and no aim is a promise about it.
"""
