"""benchmarks/accelerator.py with tiny shapes: everything runs, the errors are small, and little is imported."""

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks/accelerator.py"
HEAVY = ("datasets", "tensorflow_datasets", "tyro", "transformers")
CODE = f"""
import runpy, sys
sys.argv = [sys.argv[1], "--tiny"]
runpy.run_path(sys.argv[0], run_name="__main__")
print("imported:", [name for name in {HEAVY} if name in sys.modules])
"""


def run(*arguments):
    # compiled without optimisation: this is about whether it runs
    environment = os.environ | {"XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=120, env=environment,
                          check=False)


def test_tiny_shapes_give_a_table_without_heavy_imports():
    done = run("-c", CODE, SCRIPT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("Tiny shapes: ") and "figures mean nothing" in done.stdout
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.endswith("|") and "×" in line]
    assert [row[0].split(",")[0] for row in rows] == [
        "| decomposition", "| rebuild of a level", *["| evaluation"] * 2, *["| fine-tuning step"] * 2]
    assert all(re.fullmatch(r"[\d.e+-]+ m?s", cell) for row in rows for cell in row[1:3])
    assert float(re.search(r"σ error (\S+)", rows[0][4])[1]) < 1e-12
    assert "from float32 0e+00" in rows[2][4]
    assert done.stdout.splitlines()[-1] == "imported: []"


def test_without_an_accelerator_it_says_so():
    done = run(SCRIPT)
    assert done.returncode == 2 and "--tiny" in done.stderr and done.stderr.count("\n") == 1
