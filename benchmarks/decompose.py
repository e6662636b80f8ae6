"""Decomposing every update of a Qwen2.5-0.5B: ours, mergekit's kernel and what else torch has, with errors beside times.

    python benchmarks/decompose.py           one matrix of each shape, summed by how often the shape occurs; two minutes
    python benchmarks/decompose.py --tiny    to see that it runs

*From the weights*: two weight matrices in; out come all singular values and vectors, by the product with what it records of the
matrices (hashes, norms, share of zeros), by mergekit the two factors of its adapter. *Kernel alone*: ΔW is formed already.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from plan_memory import HALF_B
from scipy.linalg import svd
from suite.harness import Way, combine, compare, main
from suite.peers import NO_MERGEKIT, NO_TORCH, mergekit_kernel, single_threaded_torch
from suite.qwen import TINY, Pair, linear_shapes, random_pair
from suite.report import Comparison, Report

from jaxtrunc import spectral
from jaxtrunc.spectral.backends import find_backend

LEADING = 128
CUT = 32  # components kept where ‖ΔW − ΔW_k‖ is compared with the best possible
MERGEKIT, THIN = "mergekit, default --max-rank 128", "torch.linalg.svd float32, thin (PEFT's call)"
TALL, RANDOMISED = "torch.linalg.svd float32, thin, longer side first", "torch.svd_lowrank, 2 iterations (LASER)"


def measure(tiny: bool) -> Report:
    """All leaves, from the weights and by the kernel alone; and the leading components only."""
    rounds, shapes = (1, linear_shapes(TINY)) if tiny else (5, linear_shapes(HALF_B))
    titles = ("All components, from the weights", "All components, kernel alone", f"Exact leading {LEADING}, kernel alone")
    parts: list[list[tuple[float, Comparison]]] = [[], [], []]
    for shape, count in shapes.items():
        pair = random_pair(shape)
        exact = svd(pair.update.astype(np.float64), compute_uv=False)
        for title, found, ways in zip(titles, parts, (from_weights, kernels, leading), strict=True):
            found.append((count, compare(f"{title}: one matrix of {shape[0]} × {shape[1]}", ways(pair, exact), rounds)))
    report = Report("How long does it take to decompose all linear matrices of a 0.5B model, and how exact is it?")
    for title, found in zip(titles, parts, strict=True):
        report.comparisons.append(combine(f"{title}: all {sum(shapes.values())} matrices", found))
    report.comparisons += [comparison for shape, (_, comparison) in zip(shapes, parts[1], strict=True) if min(shape) > LEADING]
    whole, kernel, head = report.comparisons[:3]
    report.measured = {"all_leaves": whole.ratio(MERGEKIT), "sigma_error": kernel.rows[0].facts["worst σ error"],
                       "leading_128": head.ratio(TALL)}
    report.notes = [
        "Errors are the worst over the shapes: of a singular value, relative, against LAPACK in float64; and "
        f"‖ΔW − ΔW_k‖ over the best possible, less one, at k = {CUT}.",
        "`all_leaves` of the targets is the first table, from weights to everything the product stores, hashes included, against "
        "mergekit at its default rank, which scales 128 components only. `leading_128` is against the thin torch kernel with the "
        "longer side first, which is torch's best: it has no choice of driver on CPU. The same Gram method in torch is there too."]
    return report


def from_weights(pair: Pair, exact: np.ndarray) -> list[Way]:
    """Weights in, everything that is kept out."""
    base, ft, refs = pair.leaves()
    ways = [Way("ours: spectral.decompose", lambda: next(iter(spectral.decompose(base, ft, refs, workers=1).matrices.values())),
                lambda found: errors(tall_of(pair.update.T), exact, found.s, basis=found.basis))]
    torch, kernel = single_threaded_torch(), mergekit_kernel()
    if torch is None or kernel is None:
        return [*ways, Way(MERGEKIT, None, missing=NO_MERGEKIT)]
    weights = torch.from_numpy(pair.base), torch.from_numpy(pair.ft)
    return [*ways, Way(MERGEKIT, lambda: kernel(*weights, LEADING), partial(of_factors, pair.update, exact))]


def kernels(pair: Pair, exact: np.ndarray) -> list[Way]:
    """All components of a ΔW that is there."""
    update, tall = pair.update, tall_of(pair.update)
    ways = [Way("ours: backend gram64", partial(find_backend("gram64").factor, tall),
                lambda found: errors(tall, exact, found[0], basis=found[1]))]
    torch = single_threaded_torch()
    if torch is None:
        return [*ways, *(Way(name, None, missing=NO_TORCH) for name in (THIN, TALL, "our method in torch"))]
    x, upright = torch.from_numpy(update), torch.from_numpy(np.ascontiguousarray(tall))
    thin = partial(torch.linalg.svd, full_matrices=False)
    return [*ways, Way(THIN, lambda: thin(x), partial(of_svd, update, exact)),
            Way(TALL, lambda: thin(upright), partial(of_svd, tall, exact)),
            Way("our method in torch", lambda: torch_gram(torch, torch.from_numpy(tall)),
                lambda found: errors(tall, exact, found[0], basis=found[1]))]


def leading(pair: Pair, exact: np.ndarray) -> list[Way]:
    """Only the leading components."""
    tall = tall_of(pair.update)
    ways = [Way("ours: backend gram64, leading", lambda: find_backend("gram64").factor(tall, LEADING),
                lambda found: errors(tall, exact, found[0], basis=found[1]))]
    torch = single_threaded_torch()
    if torch is None:
        return [*ways, *(Way(name, None, missing=NO_TORCH) for name in (TALL, RANDOMISED))]
    x = torch.from_numpy(np.ascontiguousarray(tall))
    return [*ways, Way(TALL, lambda: torch.linalg.svd(x, full_matrices=False), partial(of_svd, tall, exact)),
            Way(RANDOMISED, lambda: torch.svd_lowrank(x, q=min(LEADING, *x.shape), niter=2),
                lambda found: of_svd(tall, exact, (found[0], found[1], found[2].T)))]


def tall_of(update: np.ndarray) -> np.ndarray:
    """The matrix or its transpose, the longer side first."""
    return update if update.shape[0] >= update.shape[1] else update.T


def torch_gram(torch: Any, tall: Any) -> tuple[np.ndarray, np.ndarray]:
    """Float64 Gram matrix and eigenvectors, with what torch has for it."""
    wide = tall.double()
    vectors = torch.linalg.eigh(wide.T @ wide)[1].flip(1)
    return torch.linalg.vector_norm(wide @ vectors, dim=0).numpy(), vectors.numpy()


def of_svd(update: np.ndarray, exact: np.ndarray, found: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Errors of u, s and vᵀ of torch."""
    u, s, vt = (part.numpy() for part in found)
    return errors(update, exact, s, cut=lambda k: (u[:, :k] * s[:k]) @ vt[:k])


def of_factors(update: np.ndarray, exact: np.ndarray, found: tuple[Any, Any]) -> dict[str, Any]:
    """Errors of mergekit's A and B, each of which carries the root of s."""
    a, b = (part.numpy() for part in found)
    s = np.linalg.norm(a.astype(np.float64), axis=1) ** 2
    return errors(update, exact, s, cut=lambda k: b[:, :k] @ a[:k])


def errors(update: np.ndarray, exact: np.ndarray, s: np.ndarray, *, basis: np.ndarray | None = None,
           cut: Callable[[int], np.ndarray] | None = None) -> dict[str, Any]:
    """What is wrong with singular values and with the update cut to `CUT` components, in float64.

    Args:
      basis: right singular vectors, instead of `cut`.
    """
    k, wide = min(CUT, len(exact) // 2), update.astype(np.float64)
    if basis is not None:
        removed = wide - wide @ basis[:, :k] @ basis[:, :k].T
    else:
        assert cut is not None
        removed = wide - cut(k)
    best = np.linalg.norm(exact[k:])
    return {"worst σ error": float(np.max(np.abs(s / exact[:len(s)] - 1))),
            "‖ΔW − ΔW_k‖ over the best − 1": float(np.linalg.norm(removed) / best - 1)}


if __name__ == "__main__":
    main(measure)
