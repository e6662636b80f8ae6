"""The merges that mergekit 0.1.5 did once; `configs` says them in the words of both programs."""

from pathlib import Path

import yaml

# method, weights, densities, parameters of the whole
CASES = {
    "linear": ("linear", (1.0, 3.0), None, {}),
    "task_arithmetic": ("task_arithmetic", (0.7, 0.4), None, {"lambda": 0.5, "normalize": True}),
    "ties": ("ties", (0.7, 0.4, 1.0), (0.3, 0.5, 0.5), {"lambda": 0.8}),
    "ties_sum": ("ties", (0.7, 0.4, 1.0), (0.3, 0.5, 0.5), {"normalize": False}),
    "dare_linear": ("dare_linear", (0.7, 0.4), (1.0, 1.0), {"lambda": 0.8}),
    "dare_ties": ("dare_ties", (0.7, 0.4, 1.0), (1.0, 1.0, 1.0), {}),
}


def write_config(file: Path, case: str, models: list[Path]) -> Path:
    """The YAML of a case for base and models; returns the file."""
    method, weights, densities, parameters = CASES[case]
    entries = [{"model": str(model), "parameters": {"weight": weight} | ({"density": densities[i]} if densities else {})}
               for i, (model, weight) in enumerate(zip(models[1:], weights, strict=False))]
    config = {"merge_method": method, "models": entries, "dtype": "float32"} | ({"parameters": parameters} if parameters else {})
    if method != "linear":
        config["base_model"] = str(models[0])
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    return file
