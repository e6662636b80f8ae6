"""docs/steer_results.md and its plots, from benchmarks/results/steer/grid.json:  python benchmarks/steer_page.py"""

import json
from pathlib import Path

from steering.cells import Cell, tests
from steering.page import Grid, write

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Read, draw, write."""
    kept = json.loads((ROOT / "benchmarks" / "results" / "steer" / "grid.json").read_text(encoding="utf-8"))
    results = {Cell(**one["cell"]): one for one in kept["cells"]}
    chosen = {(one["task"], one["method"]): tests(**one) for one in kept["facts"]["rates"]}
    write(Grid(results, chosen, kept["facts"]), ROOT / "docs" / "steer_results.md")


if __name__ == "__main__":
    main()
