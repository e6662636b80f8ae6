"""Run directories with synthetic results whose few numbers are set by hand."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from synthetic import results

from jaxtrunc.core import jsonio
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.report.collect_facts import Run


def made(*, label: str | None = "supported", gap_ft=0.40, gap_k=0.10, accuracy_ft=0.80, accuracy_k=0.79, reduction=(4.0, 3.0, 5.5),
         loss=(1.0, 0.2, 1.8, 1.7, "confirmed"), decoupling=(0.3, 0.2, 0.4), advantage=None, task="hans", seed=0,
         boundary=None) -> dict[str, Any]:
    """Results with k* = 8; triples are value, low, high, and `loss` goes on with its bound and its claim."""
    out = results(selected=8, label=label)
    out["config"] |= {"name": task, "task": {"name": task, "boundary": boundary}, "seeds": {"train": seed},
                      "base_model": "org/small"}
    chosen = next(r for r in out["records"] if r["operator"] == "top_k" and r["k"] == 8)
    for record, gap, accuracy in ((out["endpoints"]["ft"], gap_ft, accuracy_ft), (chosen, gap_k, accuracy_k)):
        record["metrics"] |= {"gap": gap, "balanced_accuracy": accuracy, "gap_pooled": 0.5 * gap, "fpr_gap": gap / 4}
        record["intervals"] |= {"gap": [gap - 0.03, gap + 0.03], "balanced_accuracy": [accuracy - 0.01, accuracy + 0.01]}
    value, low, high, upper, claim = loss
    chosen["comparison"] = {"reduction": entry(*reduction), "reduction_pooled": entry(*reduction), "reduction_worst": entry(2.0),
                            "reduction_fpr": entry(gap_ft / gap_k, 1.1, 9.0),
                            "loss_pp": entry(value, low, high) | {"upper95": upper, "claim": claim}}
    given = {"interpolate": (0.05, 0.01, 0.09)} if advantage is None else advantage
    out["verdict"] |= {"label": label, "decoupling": {"top_k": entry(*decoupling)},
                       "advantage": {name: numbers and entry(*numbers) for name, numbers in given.items()}}
    return out


def entry(value, low=None, high=None) -> dict[str, Any]:
    return {"value": value, "interval": None if low is None and high is None else [low, high]}


def run_of(name="small-hans-s0", base="small", **numbers) -> Run:
    """A run as `collect` opens it."""
    found = made(**numbers)
    return Run(name, base, found["config"]["name"], found["config"]["seeds"]["train"], name, found)


def write_run(path: Path, found: dict[str, Any], **noted) -> Path:
    """A run directory with sealed results; `noted`: base, task and seed, as a study notes them."""
    run = RunDir(path)
    run.note("sweep", {})
    if noted:
        run.note("study", noted)
    jsonio.write_json(run / "results.json", found)
    run.seal("results.json")
    return path
