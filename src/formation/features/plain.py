"""Figures as the features' JSON files have them."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

DIGITS = 6  # behind the point, as in the rows of sweeps


def plain(data: Any) -> Any:
    """Data with figures rounded, and null for what is not a finite number."""
    if is_dataclass(data) and not isinstance(data, type):
        data = asdict(data)
    if isinstance(data, Mapping):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, np.ndarray):
        return plain(data.tolist())
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if isinstance(data, np.generic):
        data = data.item()
    if isinstance(data, float):
        return round(data, DIGITS) if np.isfinite(data) else None
    return data
