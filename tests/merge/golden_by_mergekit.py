"""Merge the tiny models with mergekit 0.1.5 and keep what comes out: python tests/merge/golden_by_mergekit.py

Needs mergekit (extra `parity`). Writes golden/CASE.npz, one array per tensor.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import yaml
from golden_cases import CASES, write_config
from tiny_models import tensors_of, write_base, write_tuned

GOLDEN = Path(__file__).parent / "golden"


def by_mergekit(config: Path, out: Path) -> None:
    """One YAML file through mergekit."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    run_merge(MergeConfiguration.model_validate(yaml.safe_load(config.read_text())), str(out),
              MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True))


def make() -> None:
    """All cases."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = write_base(folder / "base")
        models = [base, *(write_tuned(folder / f"m{seed}", base, seed) for seed in (1, 2, 3))]
        for case in CASES:
            out = folder / case
            by_mergekit(write_config(folder / f"{case}.yaml", case, models), out)
            np.savez_compressed(GOLDEN / f"{case}.npz", **tensors_of(out))


if __name__ == "__main__":
    make()
