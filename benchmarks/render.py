"""RESULTS.md and the plots, from results/*.json alone.

    python benchmarks/render.py

At the top stands the table of targets, then a section per script, then what accelerator.py printed on the last accelerator
(results/accelerator.md).
"""

import json
from pathlib import Path

from suite import markdown, plots
from suite.report import RESULTS

ORDER = ("decompose", "levels", "sweep", "read", "finetune", "startup", "plan_memory", "curves", "lens", "sae_encode",
         "merge", "sift")
PAGE = Path(__file__).parent / "RESULTS.md"
HEAD = """# Benchmark figures

Made by `make bench` from the files in `results/`; [docs/performance.md](../docs/performance.md) says how to run and read it.
Seconds are CPU seconds on one core with one thread for every library, medians with quartiles in brackets; ways of one table took
turns on the same data in one process. Ratios are medians over the rounds. Absolute times drift with the machine: compare within a
table.
"""


def main() -> None:
    results = {name: json.loads(file.read_text(encoding="utf-8")) for name in ORDER
               if (file := RESULTS / f"{name}.json").exists()}
    lines = [HEAD, *markdown.targets_table(results), *markdown.obstacles(results)]
    for name, result in results.items():
        drawn = plots.draw(name, result, RESULTS)
        lines += ["", f"## {name}.py", "", *markdown.section(result)]
        lines += ["", f"![{result['question']}](results/{name}.svg)"] if drawn else []
    accelerators = RESULTS / "accelerator.md"
    lines += ["", accelerators.read_text(encoding="utf-8").rstrip()] if accelerators.exists() else []
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
