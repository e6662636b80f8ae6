"""PEFT-format adapters: writing the truncated update as one, reading one as an update."""
