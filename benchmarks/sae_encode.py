"""Activations of a sparse autoencoder's latents: ours beside SAELens's, and beside the few lines of torch behind both.

    python benchmarks/sae_encode.py           three minutes, 1 GB of memory
    python benchmarks/sae_encode.py --tiny    to see that it runs

The same random autoencoder, written to disk once and loaded by each in its own way, encodes the same activations to the dense
(tokens, latents) array that selection and training need. SAELens comes with the extra `parity`.
"""

import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from suite.harness import Way, compare, main
from suite.peers import NO_TORCH, find, single_threaded_torch
from suite.report import Comparison, Report

from jaxtrunc.sae.formats import load_sae, save_sae
from jaxtrunc.sae.sae import SAE, encode

TOKENS, D, N, K = 512, 896, 14_336, 64  # a 16-fold dictionary on the width of Qwen2.5-0.5B
SMALL = 16, 24, 96, 8
SAELENS, PLAIN = "SAELens: SAE.encode", "torch, written out"
ERROR = "worst error of an activation"
NO_SAELENS = "SAELens is not installed (extra `parity`)"


def measure(tiny: bool) -> Report:
    """Both kinds."""
    sizes, rounds = (SMALL, 1) if tiny else ((TOKENS, D, N, K), 7)
    report = Report("How many tokens a second does a sparse autoencoder encode?",
                    comparisons=[encoding(kind, sizes, rounds) for kind in ("jumprelu", "topk")])
    report.notes = [f"float32, {sizes[0]} tokens of width {sizes[1]}, {sizes[2]} latents, the largest {sizes[3]} where topk. "
                    "Errors are against float64 NumPy."]
    return report


def encoding(kind: str, sizes: tuple[int, int, int, int], rounds: int) -> Comparison:
    """One kind by everybody."""
    tokens, _, _, k = sizes
    sae, x = random_sae(kind, *sizes[1:]), np.random.default_rng(1).normal(size=(tokens, sizes[1])).astype(np.float32)
    exact = partial(worst, exact_activations(sae, x))
    with tempfile.TemporaryDirectory() as name:
        save_sae(Path(name), sae)
        ours, here = load_sae(Path(name), fold=False), jnp.asarray(x)
        compiled = jax.jit(encode)
        ways = [Way("ours: sae.encode", lambda: jax.block_until_ready(compiled(ours, here)), exact)]
        torch = single_threaded_torch()
        if torch is None:
            ways += [Way(SAELENS, None, missing=NO_TORCH), Way(PLAIN, None, missing=NO_TORCH)]
        else:
            ways += [saelens_way(Path(name), torch.from_numpy(x), exact), Way(PLAIN, written_out(torch, sae, x), exact)]
        comparison = compare(f"{kind}, {'the largest ' + str(k) if kind == 'topk' else 'a threshold each'}", ways, rounds)
    comparison.work, comparison.unit = tokens, "tokens"
    return comparison


def random_sae(kind: str, d: int, n: int, k: int) -> SAE:
    """Unit decoder rows, the encoder their transpose, a bias that leaves a few per cent of the latents active."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(n, d)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    threshold = {"threshold": jnp.asarray(draw.uniform(1.5, 2.5, n), jnp.float32)} if kind == "jumprelu" else {"k": k}
    return SAE(w_enc=jnp.asarray(np.ascontiguousarray(rows.T)), w_dec=jnp.asarray(rows), b_enc=jnp.zeros(n, jnp.float32),
               b_dec=jnp.zeros(d, jnp.float32), kind=kind, subtract_b_dec=True, **threshold)  # type: ignore[arg-type]


def exact_activations(sae: SAE, x: np.ndarray) -> np.ndarray:
    """In float64."""
    pre = x.astype(np.float64) @ np.asarray(sae.w_enc, np.float64)
    kept = pre > np.asarray(sae.threshold) if sae.k is None else pre >= -np.sort(-pre, axis=1)[:, sae.k - 1 : sae.k]
    return np.where(kept, np.maximum(pre, 0), 0)


def worst(exact: np.ndarray, found: Any) -> dict[str, float]:
    """Of the activations that both have: one may stand on the other side of a threshold in float32."""
    found = np.asarray(found)
    return {ERROR: float(np.abs(np.where((found > 0) & (exact > 0), found - exact, 0)).max()),
            "active latents per token": float((found > 0).sum(axis=1).mean())}


def saelens_way(folder: Path, x: Any, facts: Callable[[Any], dict[str, float]]) -> Way:
    """SAELens on the same directory."""
    with warnings.catch_warnings(action="ignore"):
        package = find("sae_lens")
        if package is None:
            return Way(SAELENS, None, missing=NO_SAELENS)
        sae = package.SAE.load_from_disk(folder)
    sae.requires_grad_(False)
    return Way(SAELENS, lambda: sae.encode(x), facts)


def written_out(torch: Any, sae: SAE, x: np.ndarray) -> Callable[[], Any]:
    """A product, and what is kept of it."""
    w, b, b_dec, rows = (torch.from_numpy(np.array(array)) for array in (sae.w_enc, sae.b_enc, sae.b_dec, x))

    def jump() -> Any:
        pre = torch.addmm(b, rows - b_dec, w)
        return pre * ((pre > threshold) & (pre > 0))

    def top() -> Any:
        values, places = torch.topk(torch.addmm(b, rows - b_dec, w), sae.k, dim=-1, sorted=False)
        return torch.zeros(len(rows), len(b)).scatter_(-1, places, values.relu_())

    if sae.threshold is None:
        return top
    threshold = torch.from_numpy(np.array(sae.threshold))
    return jump


if __name__ == "__main__":
    main(measure)
