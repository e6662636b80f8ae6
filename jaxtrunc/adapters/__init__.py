"""PEFT-format adapters: writing the truncated update as one, reading one as an update."""

from jaxtrunc.adapters.export import write_adapter
from jaxtrunc.adapters.load import adapter_deltas, leaves_with_adapter

__all__ = ["adapter_deltas", "leaves_with_adapter", "write_adapter"]
