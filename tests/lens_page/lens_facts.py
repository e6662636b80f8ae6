"""Facts of the shape of lens.json, from a planted head by plain NumPy, with whatever token text a test asks for."""

from collections.abc import Callable
from typing import Any

import numpy as np

ROWS, WIDTH, K, M = 900, 48, 12, 20
HOSTILE = ("<script>alert(1)</script>", "a|b|c", "`code`", "שלום␠עולם", "\\ud800", "\\n", "◌́", "</bdi></td><b>", "[x](http://y.z)",
           "$x_1^2$", "*b*", "&amp;", '"\'', "漢字", "<!--", "]]>", "x" * 300, "\\u202e", "مرحبا", "___")


def plain(token: int) -> str | None:
    """A word for every token."""
    return f"␠word{token}" if token % 3 else f"piece{token}"


def hostile(token: int) -> str | None:
    """What a vocabulary might hold to break a page."""
    return HOSTILE[token % len(HOSTILE)]


def facts(text: Callable[[int], str | None] | None = plain, *, compare: bool = False, unchanged: bool = False, k: int = K,
          **changes: Any) -> dict[str, Any]:
    """A whole lens.json; `text` None: no tokenizer, so every text is null."""
    made = _Maker(text, k).facts()
    if compare:
        made["comparison"] = _comparison(made, unchanged)
    return made | changes


def head(seed: int = 0) -> np.ndarray:
    """Five groups of rows on a random background with a common mean."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(ROWS, WIDTH)) * 0.2 + 0.05
    for group, size in enumerate((3.0, 2.6, 2.2, 1.9, 1.6)):
        axis = rng.normal(size=WIDTH)
        rows[20 * group:20 * group + 20] = size * axis / np.linalg.norm(axis) + rng.normal(size=(20, WIDTH)) * 0.05
    rows[700:704] = rows[700]
    rows[850] = 0
    return rows


class _Maker:
    def __init__(self, text, k: int):
        self.text, self.k, self.w = text or (lambda token: None), k, head()
        self.named = text is not None
        self.u, self.s, self.vt = np.linalg.svd(self.w, full_matrices=False)
        self.norm = np.linalg.norm(self.w, axis=1)
        self.wps = np.abs(self.w @ self.vt[:k].T).sum(1)
        self.spread = np.abs(self.w @ self.vt.T).sum(1) / np.maximum(self.norm, 1e-9) / np.sqrt(WIDTH)

    def category(self, token: int) -> str:
        return "unknown" if not self.named else "undecodable" if 100 <= token < 110 else "ok"

    def facts(self) -> dict[str, Any]:
        order = np.argsort(self.spread)
        listed = [int(t) for t in order[:30]]
        tails = {"high_projection": np.argsort(-self.wps)[:25], "low_projection": np.argsort(self.wps)[:3]}
        return {
            "schema_version": 1,
            "config": {"k": self.k, "m": M, "draws": 200, "seed": 0, "flag_z": 3.5, "drop_padding": False, "fold_norm": False,
                       "fast": False, "nn_rows": None},
            "source": self.source("models/planted"), "environment": {"jaxtrunc": "0.2.0", "numpy": "2.3.0"},
            "tokenizer": {"directory": "planted", "length": ROWS - 10} if self.named else None,
            "numerical_rank": WIDTH, "spectrum": self.spectrum(),
            "directions": [self.direction(i) for i in range(self.k)],
            "wps": {"K": self.k, "threshold": 3.5} | {name: _histogram(values) for name, values in (
                ("wps1_K", self.wps), ("wps1_d", self.wps * 1.5), ("norm", self.norm), ("spread", self.spread))},
            "scatter": self.scatter(sorted({*range(0, ROWS - 10, 3), *listed})),
            "glitch": {"never_trained": [self.glitch(t) for t in listed],
                       **{name: [self.glitch(int(t)) for t in ids] for name, ids in tails.items()},
                       "counts": {"eligible": ROWS - 20, "never_trained": 30, "high_projection": 25, "low_projection": 3},
                       "reference": {"from": "padding", "count": 10}},
            "duplicates": [[700, 701, 702, 703]], "padding": list(range(ROWS - 10, ROWS)),
            "special": [880, 881] if self.named else [], "byte": [], "unused": [],
            "undecodable": list(range(100, 110)) if self.named else [], "unreachable": [],
            "zero_rows": [850], "categories": {"ok": ROWS - 22, "undecodable": 10, "special": 2} if self.named else {},
            "texts": {str(t): self.text(t) for t in (*range(700, 704), *range(100, 110), 880, 881)} if self.named else {},
            "worksheet": [{"cause": cause, "evidence": evidence} for cause, evidence in WORKSHEET],
            "caveats": ["A triage signal, not proof of training data, intent or harm.",
                        "Every token listed is a candidate, unverified.",
                        "The paper’s exact formulae were not available; the definitions of the scores are those of jaxtrunc."],
            "warnings": ["row 850 is zero and has no cosine"], "gates": [{"gate": "glitch>0.01", "value": 0.034, "crossed": True},
                                                                        {"gate": "duplicates>5", "value": 3, "crossed": False}],
            "text_policy": {"ids_only": False, "redacted": 0}, "comparison": None,
        }

    def source(self, model: str) -> dict[str, Any]:
        return {"model": model, "file": "model-00002-of-00003.safetensors", "key": "lm_head.weight", "shape": [ROWS, WIDTH],
                "dtype": "bfloat16", "tied": False, "sha256": "0123456789abcdef" * 4, "model_type": "llama"}

    def spectrum(self) -> dict[str, Any]:
        centred = np.linalg.svd(self.w - self.w.mean(0), compute_uv=False)
        return _spectrum(self.s) | {"centred": _spectrum(centred)}

    def direction(self, i: int) -> dict[str, Any]:
        column = self.u[:, i] * self.s[i]
        poles = {"+": np.argsort(-column)[:M], "-": np.argsort(column)[:M]}
        return {"index": i, "sigma": self.s[i], "skewness": 1.2, "flags": ["degenerate"] if i in (6, 7) else [],
                "block": 2 if i in (6, 7) else None, "poles": {sign: self.pole(ids, column) for sign, ids in poles.items()}}

    def pole(self, ids: np.ndarray, column: np.ndarray) -> dict[str, Any]:
        unit = self.w[ids] / np.maximum(np.linalg.norm(self.w[ids], axis=1, keepdims=True), 1e-9)
        vcs = float((np.sum(unit.sum(0) ** 2) - M) / (M * (M - 1)))
        return {"ids": ids.tolist(), "tokens": [self.text(t) for t in ids.tolist()], "projections": column[ids].tolist(),
                "categories": [self.category(t) for t in ids.tolist()],
                "vcs": vcs, "vcs_centred": vcs - 0.02, "vcs_null_mean": 0.08,
                "vcs_null_sd": 0.04, "vcs_z": (vcs - 0.08) / 0.04, "n_duplicates": 0,
                "scripts": {"Latin": 18, "Han": 2} if self.named else None, "script_entropy": 0.33 if self.named else None}

    def scatter(self, ids: list[int]) -> dict[str, list]:
        return {"ids": ids, "norm": self.norm[ids].tolist(), "spread": self.spread[ids].tolist(),
                "category": [self.category(t) for t in ids], "listed": [t % 7 == 0 for t in ids],
                "token": [self.text(t) for t in ids]}

    def glitch(self, token: int) -> dict[str, Any]:
        return {"id": token, "token": self.text(token), "score": 0.97, "category": self.category(token), "glitch_score": 0.97,
                "spread": self.spread[token], "nn5": 0.93, "norm": self.norm[token], "norm_z": 2.2, "wps1": self.wps[token],
                "wps1_z": -4.1, "ref_cos": None, "duplicates": 4 if 700 <= token < 704 else 1}


WORKSHEET = (
    ("corpus composition", ["31 of 60 poles cohere beyond chance"]),
    ("tokenizer–corpus mismatch", ["30 rows with the never-trained profile"]),
    ("spam contamination", []), ("legacy or OCR orthography", []), ("encoding fragments", ["10 undecodable tokens"]),
    ("reserved or padding rows", ["10 padding rows"]), ("post-training shift", []),
)


def _spectrum(sigma: np.ndarray) -> dict[str, Any]:
    share = sigma**2 / (sigma**2).sum()
    energy = np.cumsum(share)
    return {"sigma": sigma.tolist(), "cumulative_energy": energy.tolist(), "gap_ratios": (1 - sigma[1:] / sigma[:-1]).tolist(),
            "stable_rank": 1 / share[0], "effective_rank": float(np.exp(-(share * np.log(share)).sum())),
            "energy_k": {q: int(np.searchsorted(energy, float(q)) + 1) for q in ("0.5", "0.9", "0.99")}}


def _histogram(values: np.ndarray) -> dict[str, Any]:
    counts, edges = np.histogram(values, bins=60)
    median = float(np.median(values))
    mad = float(np.median(np.abs(values - median)))
    return {"edges": edges.tolist(), "counts": counts.tolist(), "median": median, "mad": mad, "low": median - 3.5 * mad / 0.6745,
            "high": median + 3.5 * mad / 0.6745}


def _comparison(made: dict[str, Any], unchanged: bool) -> dict[str, Any]:
    found, k = made["directions"], len(made["directions"])
    cosines = np.abs(np.random.default_rng(1).normal(size=(k, k)) * 0.1).clip(0, 1)
    np.fill_diagonal(cosines, 1.0 if unchanged else 0.96)
    labels = ["retained" if unchanged or i % 5 else "drifted" if i % 2 else "dissolved" for i in range(2 * k)]
    angle = [0.0 if unchanged else 0.02 * (i + 1) for i in range(k)]
    angles = [{"k": n, "angles": angle[:n], "max": angle[n - 1], "mean": float(np.mean(angle[:n])), "chordal": 0.1,
               "random_mean": 1.4} for n in (1, 5, 10) if n <= k]
    return {
        "source": made["source"] | {"model": "models/tuned", "tied": True},
        "heads": "The head of the base is a matrix of its own, that of the tuned model tied to its embedding.",
        "alignment": {"by": "token", "rows": ROWS - 10, "only_base": {"count": 0, "ids": []},
                      "only_tuned": {"count": 2, "ids": [3, 4]}},
        "unchanged": unchanged, "relative_change": 0.0 if unchanged else 0.031,
        "movers": [] if unchanged else [{"id": t, "token": found[0]["poles"]["+"]["tokens"][0], "change": 0.8, "cos": 0.91}
                                        for t in range(50)],
        "angles": {"right": angles, "left": angles}, "cosines": cosines.tolist(),
        "matching": [{"base": i, "tuned": i, "cosine": cosines[i, i], "sigma_ratio": 1.01, "jaccard": {"+": 1.0, "-": 0.9},
                      "delta_vcs": {"+": 0.01, "-": None}} for i in range(k)],
        "persistence": [{"direction": n // 2, "pole": "+-"[n % 2], "label": label, "recovery": 0.9, "cohesion_base": 0.5,
                         "cohesion_tuned": 0.49, "median_rank": 10.5, "tokens": found[n // 2]["poles"]["+-"[n % 2]]["tokens"],
                         "ids": found[n // 2]["poles"]["+-"[n % 2]]["ids"]} for n, label in enumerate(labels)],
        "new": [] if unchanged else [{"direction": k - 1, "pole": "-", "vcs_z": 4.4, "ids": found[-1]["poles"]["-"]["ids"],
                                      "tokens": found[-1]["poles"]["-"]["tokens"]}],
        "counts": {label: labels.count(label) for label in ("retained", "drifted", "dissolved")} | {"new": 0 if unchanged else 1},
        "spectrum": made["spectrum"], "vcs": [{"index": d["index"]} | {s: d["poles"][s]["vcs"] * 0.9 for s in "+-"} for d in found],
        "delta": None if unchanged else {"spectrum": made["spectrum"], "directions": found[:4]},
    }
