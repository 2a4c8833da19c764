"""The laboratory: benchmark, model, training and measures of circuit formation.

Everything here writes artifacts (JSON, JSONL, safetensors) into a run's folder; the press (`livingpaper`) reads them.
"""

__version__ = "0.1.0"
