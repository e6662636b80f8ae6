"""Parameter trees: nested dicts of arrays, addressed by `/`-separated paths such as `layers/attn/q_proj/kernel`."""

from collections.abc import Mapping
from typing import Any

from flax import traverse_util

Params = dict[str, Any]


def flatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dict → `{path: leaf}` in sorted path order (so nothing depends on insertion order)."""
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    return {path: flat[path] for path in sorted(flat)}


def unflatten(flat: Mapping[str, Any]) -> Params:
    """`{path: leaf}` → nested dict; the inverse of `flatten`."""
    return traverse_util.unflatten_dict(dict(flat), sep="/")
