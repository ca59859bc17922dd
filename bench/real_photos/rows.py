"""Rows of measured numbers: seeds in one cell, and new rows beside those that are there."""

from collections.abc import Sequence

import numpy as np


def mean_and_range(values: Sequence[float]) -> str:
    """Mean, least and most."""
    return f"{np.mean(values):.2f} ({np.min(values):.2f} to {np.max(values):.2f})"


def with_row(rows: list[dict], row: dict, key: Sequence[str]) -> list[dict]:
    """The rows and one more, in place of the one with its key, sorted by that."""
    others = [old for old in rows if any(old[name] != row[name] for name in key)]
    return sorted([*others, row], key=lambda one: [one[name] for name in key])
