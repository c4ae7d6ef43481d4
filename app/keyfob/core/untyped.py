"""A name for values that Python's types cannot describe."""

from __future__ import annotations

from typing import Any, TypeAlias

# What `json.loads` returns, before anything has checked its shape.
Json: TypeAlias = Any
