"""Golden values for tests where the authors' packages are not installed; made by those packages from the files of sae_files.py.

    pip install sae-lens eai-sparsify
    python tests/sae_formats/make_sae_golden.py
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import sae_files as files
import sae_peers as peers

GOLDEN = Path(__file__).with_name("sae_golden.json")


def main() -> None:
    arrays, x, found = files.random_arrays(), files.activations(), {}
    for name, write in files.WRITERS.items():
        with tempfile.TemporaryDirectory() as folder:
            a, reconstruction = peers.COMPUTED_BY.get(name, peers.saelens)(write(Path(folder), arrays), x)
        found[name] = {"a": a.astype(float).round(6).tolist(), "reconstruction": reconstruction.astype(float).round(6).tolist()}
    made_by = {name: version(name) for name in ("sae-lens", "eai-sparsify", "torch")}
    GOLDEN.write_text(json.dumps({"made_by": made_by, "cases": found}) + "\n")


if __name__ == "__main__":
    main()
