"""The model card of a merge."""

from typing import Any

import yaml

from jaxtrunc import __version__
from jaxtrunc.recipes.merge_config import MergeConfig
from jaxtrunc.report.merge import CAPTION, COLUMNS, by_module, unchanged_line

PAPERS = {
    "linear": "weights averaged ([model soups](https://arxiv.org/abs/2203.05482))",
    "task_arithmetic": "[task arithmetic](https://arxiv.org/abs/2212.04089)",
    "ties": "[TIES](https://arxiv.org/abs/2306.01708)",
    "dare_linear": "[DARE](https://arxiv.org/abs/2311.03099)",
    "dare_ties": "[DARE](https://arxiv.org/abs/2311.03099) with the sign election of TIES",
    "tsv_merge": "[TSV-Merge](https://arxiv.org/abs/2412.00081)",
    "iso_c": "[Iso-C](https://arxiv.org/abs/2502.04959)",
    "iso_cts": "[Iso-CTS](https://arxiv.org/abs/2502.04959)",
    "knots_ties": "[KnOTS](https://arxiv.org/abs/2410.19735) with TIES",
    "orthogonal": "[orthogonal merging](https://arxiv.org/abs/2604.04231)",
}


def card(config: MergeConfig, facts: dict[str, Any]) -> str:
    """README.md: what was merged and how, the config to do it again, and the interference by kind of tensor."""
    name = config.settings.how.name
    head = {"base_model": [*([config.base_model] if config.base_model else []), *config.models], "tags": ["merge", "jaxtrunc"],
            "library_name": "transformers"}
    models = "\n".join(f"- `{ref}`, weight {weight:g}" for ref, weight in zip(config.models, config.settings.weights, strict=True))
    over = f" over `{config.base_model}`" if config.base_model else ""
    rows, unchanged = by_module(facts)
    table = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|",
             *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n\n".join([
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---", "# Merged model", f"Merged{over} by {PAPERS[name]}:", models,
        *(f"Warning: {warning}." for warning in facts["warnings"]),
        f"```yaml\n{yaml.safe_dump(facts['config'], sort_keys=False)}```",
        "## How the models interfere", "\n".join(table), *unchanged_line(unchanged), CAPTION,
        "merge.json holds every tensor, plots/interference.csv the numbers of the plot.",
        f"Made by jaxtrunc {__version__}.", ""])

