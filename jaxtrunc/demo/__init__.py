"""The embedded tiny base model and benchmark, and the text generator that made them.

`ASSETS` holds demo.yaml (the run config), task.yaml, rows.jsonl.gz, model/ (the base) and pretrain.yaml (its making).
"""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
