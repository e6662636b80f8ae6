"""Results of the shape of results.json with plausible numbers: a small model of how gap and accuracy answer to truncation."""

import math
import random
from typing import Any

KS = (0, 1, 2, 4, 8, 16, 32, 64)
MODULES = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
           "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
# Per operator: how fast accuracy and gap are regained along log2(1 + k) (small: early).
PACE = {"top_k": (1.2, 3.0), "bottom_k": (5.5, 5.2), "drop_top_k": (4.5, 4.2), "random_k": (4.0, 4.1), "flatten_k": (1.5, 3.2),
        "noise": (1.8, 2.6), "lora": (0.7, 1.6)}
MATCHABLE = ("bottom_k", "drop_top_k", "random_k", "interpolate")
SHARES = (0.1, 0.25, 0.5, 0.75)
EVERY = ("top_k", "bottom_k", "drop_top_k", "random_k", "interpolate", "flatten_k", "sparsify", "noise", "lora", "energy",
         "ratio", "mp_edge", "dg_hard")


def results(*, classes=("negative", "positive"), attributes=("marker",), operators=(*tuple(PACE)[:4], "interpolate"),
            ks=KS, seeds=5, norm_matched=False, fractions=(), alphas=(0.1, 0.25, 0.5, 0.75, 0.9), selected: int | None = 8,
            label: str | None = "supported", intervals=True, layers=4) -> dict[str, Any]:
    """A whole results dict; every argument varies one thing that the report must cope with."""
    maker = _Maker(classes, attributes, intervals)
    base, ft = maker.record("base", 0.0, 0.0), maker.record("ft", 1.0, 1.0)
    records = list(_levels(maker, operators, ks, seeds, norm_matched, fractions, alphas))
    return {
        "schema_version": 1,
        "config": {"name": "sst2-marker", "base_model": "models/tiny", "model": None, "task": "configs/tasks/sst2_marker.yaml",
                   "sweep": {"operators": list(operators), "split": "test", "residual": "ft"}},
        "environment": {"versions": {"jaxtrunc": "0.1.0", "jax": "0.10.2", "python": "3.11.9"}, "backend": "cpu",
                        "devices": ["cpu"], "device_count": 1, "git_commit": None},
        "warnings": ["layers.0 q_proj: 22 % of entries unchanged; the leaf is marked bf16_source"],
        "records": records,
        "endpoints": {"base": base, "ft": ft},
        "selection": _selection(selected),
        "verdict": _verdict(label, operators),
        "spectra": spectra(layers),
    }


def spectra(layers: int = 4, curves: bool = True) -> dict[str, dict[str, Any]]:
    """Per tensor: power-law spectra whose slope depends on module and layer."""
    out = {}
    for layer in range(layers):
        for index, module in enumerate(MODULES):
            rank = 32 if module.endswith(("k_proj", "v_proj")) else 64
            s = [(i + 1) ** -(0.35 + 0.04 * index + 0.03 * layer) for i in range(rank)]
            out[f"model.layers.{layer}.{module}.weight"] = _spectrum(s, 0.01 * (1 + index + layer), curves)
    return out


def _spectrum(s: list[float], relative: float, curves: bool) -> dict[str, Any]:
    total = math.fsum(x * x for x in s)
    share = [math.fsum(x * x for x in s[:k + 1]) / total for k in range(len(s))]
    entry: dict[str, Any] = {
        "shape": [64, len(s)], "rank": len(s), "frobenius": math.sqrt(total), "stable_rank": total / s[0] ** 2,
        "effective_rank": 0.8 * len(s), "energy_k": {q: 1 + next(i for i, e in enumerate(share) if e >= float(q))
                                                     for q in ("0.5", "0.9", "0.99")},
        "mp_edge": 0.2, "dg_hard": 0.3, "signflip_edge": 0.25, "mp_valid": False, "bf16_floor": None, "zero_share": 0.01,
        "roundoff_delta": 0.02, "effective_rank_energy": 0.6 * len(s), "participation_ratio": 0.4 * len(s), "tail_slope": -0.5,
        "mp_distance": 0.3, "spikes": 3, "bulk_energy": 0.25, "intruders": 2, "below_bf16": 0.07, "bf16_source": False,
    }
    if curves:
        grid = [k for k in (1, 2, 4, 8, 16, 32, 64) if k <= len(s)]
        entry |= {"energy_curve": [[k, share[k - 1]] for k in grid], "relative_norm": relative}
    return entry


class _Maker:
    """Builds records; group accuracies follow from how much of the task and of the shortcut a level has regained."""

    def __init__(self, classes, attributes, intervals):
        self.classes, self.attributes, self.with_intervals = classes, attributes, intervals
        self.noise = random.Random(0)

    def record(self, operator: str, task: float, shortcut: float, **key: Any) -> dict[str, Any]:
        noise = 0.004 if operator not in ("base", "ft") else 0.0
        accuracy = 0.55 + 0.27 * task + self.noise.gauss(0, noise)
        gaps = {name: (0.02 + 0.40 * shortcut) / (1 + index) + self.noise.gauss(0, noise)
                for index, name in enumerate(self.attributes)}
        blocks = {name: self._block(name, accuracy, gap) for name, gap in gaps.items()}
        first = blocks[self.attributes[0]] if self.attributes else self._block(None, accuracy, None)
        return {
            "operator": operator, "k": None, "param": None, "seed": None, "norm_matched": False, "residual": "ft",
            "scope": "per_leaf", "split": "test", "dtype": "float32", "n": 4000, **key,
            "metrics": {"accuracy": accuracy, "balanced_accuracy": accuracy, "verbalizer_mass": 0.93, **first["metrics"]},
            "intervals": {"accuracy": self._around(accuracy, 0.012), "balanced_accuracy": self._around(accuracy, 0.012),
                          **first["intervals"]},
            "groups": first["groups"], "per_attribute": blocks, "comparison": self._comparison(operator, accuracy, gaps),
            "roundoff": None, "max_norm_factor": 3.2 if key.get("norm_matched") else None, "samples": None,
        }

    def _block(self, attribute: str | None, accuracy: float, gap: float | None) -> dict[str, Any]:
        names = ("gap", "gap_pooled", "gap_worst", "gap_range")
        if gap is None:
            return {"metrics": dict.fromkeys((*names, "worst_group_accuracy")), "intervals": dict.fromkeys(names), "groups": []}
        metrics = {"gap": gap, "gap_pooled": 0.95 * gap, "gap_worst": 0.6 * gap + 0.01, "gap_range": 1.1 * abs(gap),
                   "worst_group_accuracy": accuracy - 0.6 * gap - 0.01}
        return {"metrics": metrics, "intervals": dict.fromkeys(metrics) | {
            "gap": self._around(gap, 0.03), "gap_pooled": self._around(metrics["gap_pooled"], 0.03)},
            "groups": [self._cell(name, attribute, value, accuracy + gap / 2 * (1 if (index > 0) == (value > 0) else -1))
                       for index, name in enumerate(self.classes) for value in (0, 1)]}

    def _cell(self, name, attribute, value, accuracy):
        accuracy = min(max(accuracy, 0.0), 1.0)
        return {"label": name, "attributes": {attribute: value}, "n": 1000, "accuracy": accuracy,
                "interval": [max(accuracy - 0.02, 0.0), min(accuracy + 0.02, 1.0)]}

    def _comparison(self, operator, accuracy, gaps):
        if operator in ("base", "ft"):
            return {}
        gap = next(iter(gaps.values()), None)
        said = {"loss_pp": 100 * (0.82 - accuracy), "ret_acc": (accuracy - 0.55) / 0.27}
        if gap is not None:
            said |= {"reduction": 0.42 / max(abs(gap), 0.01), "ret_gap": (gap - 0.02) / 0.40}
        claims = {"loss_pp": {"claim": "confirmed" if said["loss_pp"] < 1 else "not shown"}}
        return {name: {"value": value, "interval": self._around(value, 0.12 * max(abs(value), 0.3))} | claims.get(name, {})
                for name, value in said.items()} | ({} if gap is not None else {"reduction": None, "ret_gap": None})

    def _around(self, value: float, half: float) -> list[float] | None:
        return [value - half, value + half] if self.with_intervals else None


def _levels(maker, operators, ks, seeds, norm_matched, fractions, alphas):
    for operator in operators:
        for matched in (False, True) if norm_matched and operator in MATCHABLE else (False,):
            places = ([{"k": k} for k in ks] if matched else _places(operator, alphas)
                      or [{"k": k} for k in ks] + [{"param": f} for f in fractions])
            for place in places:
                for seed in range(seeds) if operator in ("random_k", "sparsify", "noise") else [None]:
                    task, shortcut = _regained(operator, place)
                    trained = {"residual": None, "scope": None} if operator == "lora" else {}
                    yield maker.record(operator, task, shortcut, seed=seed, norm_matched=matched, **place, **trained)


def _places(operator: str, alphas) -> list[dict[str, Any]]:
    """The settings of an operator that is not swept along k."""
    if operator in ("mp_edge", "dg_hard"):
        return [{}]
    if operator == "lora":
        return [{"k": rank} for rank in (4, 16)]
    values = {"interpolate": alphas, "sparsify": SHARES, "energy": (0.5, 0.9), "ratio": (0.1, 0.5)}.get(operator, ())
    return [{"param": value} for value in values]


def _regained(operator: str, place: dict[str, Any]) -> tuple[float, float]:
    if operator not in PACE:
        share = place["param"] if "param" in place else math.log2(1 + place.get("k", 8)) / math.log2(65)
        return math.sin(share * math.pi / 2), share ** 1.5
    k = place["k"] if "k" in place else 64 * place["param"]
    x = math.log2(1 + (64 - k if operator == "drop_top_k" else k))
    limit = math.log2(65)
    early, late = PACE[operator]
    return tuple(min(1.0, (x / limit) ** pace) if x else 0.0 for pace in (early / 2, late / 1.5))  # type: ignore[return-value]


def _selection(selected: int | None) -> dict[str, Any] | None:
    if selected is None:
        return None
    return {"rule": "noninferior", "k": selected, "point_k": max(selected // 2, 1), "tolerance_pp": 2.0, "split": "validation",
            "records": [], "oracle_k": 4}


def _verdict(label: str | None, operators) -> dict[str, Any]:
    controls = [name for name in operators if name != "top_k"]
    return {"label": label, "reasons": ["R(k*) lies above 1"] if label else ["no validation split"],
            "decoupling": {"top_k": {"value": 0.31, "interval": [0.22, 0.40]}} if label else None,
            "specificity": {name: {"value": 0.2, "interval": [0.1, 0.3]} for name in controls} | {"lora": None},
            "advantage": {name: {"value": 0.05, "interval": [0.01, 0.09]} for name in controls} | {"lora": None}}
