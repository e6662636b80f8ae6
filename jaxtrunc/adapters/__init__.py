"""PEFT-format adapters: writing the truncated update as one, reading one as an update."""

from jaxtrunc.adapters.export import write_adapter

__all__ = ["write_adapter"]
