"""The spectral methods once more, written apart: float64, in torch's layout (out, in), every decomposition a full SVD.

`taus` is a list of `(out, in)` float64 arrays with their weights in them; what comes back is the update without λ.
"""

import numpy as np


def svd(x):
    return np.linalg.svd(x, full_matrices=False)


def polar(x):
    u, _, vt = svd(x)
    return u @ vt


def tsv_merge(taus):
    """Gargiulo et al. 2025: the k leading triplets of every task, both bases replaced by their polar factors."""
    k = min(taus[0].shape) // len(taus)
    parts = [svd(tau) for tau in taus]
    left = np.hstack([u[:, :k] for u, _, _ in parts])
    right = np.vstack([vt[:k] for _, _, vt in parts])
    return polar(left) @ np.diag(np.concatenate([s[:k] for _, s, _ in parts])) @ polar(right)


def iso_c(taus):
    """Marczak et al. 2025: the sum with a flat spectrum."""
    u, s, vt = svd(sum(taus))
    return s.mean() * u @ vt


def iso_cts(taus):
    """The same paper: a common subspace of the sum, and what each task has outside of it on the output side."""
    r = min(taus[0].shape)
    own = round((r - int(0.8 * r)) / len(taus))
    shared = r - own * len(taus)
    u, s, vt = svd(sum(taus))
    lefts, values, rights = [u[:, :shared]], [s[:shared]], [vt[:shared]]
    for tau in taus:
        rest = tau - u[:, :shared] @ (u[:, :shared].T @ tau)
        a, b, ct = svd(rest)
        lefts, values, rights = [*lefts, a[:, :own]], [*values, b[:own]], [*rights, ct[:own]]
    return np.concatenate(values).mean() * polar(np.hstack(lefts)) @ polar(np.vstack(rights))


def knots_ties(taus, densities):
    """Stoica et al. 2024: a basis of all outputs side by side, TIES on what each task has in it."""
    u, s, vt = svd(np.hstack(taus))
    kept = s > 1e-5
    blocks = np.split((s[:, None] * vt)[kept], len(taus), axis=1)
    return u[:, kept] @ ties(blocks, densities, np.ones(len(taus)))


def ties(taus, densities, weights):
    """Yadav et al. 2023, with entries sorted one by one."""
    trimmed = []
    for tau, density, weight in zip(taus, densities, weights, strict=True):
        flat = tau.ravel()
        keep = sorted(range(flat.size), key=lambda i, flat=flat: (-abs(flat[i]), i))[:max(1, int(density * flat.size))]
        part = np.zeros_like(flat)
        part[keep] = weight * flat[keep]
        trimmed.append(part.reshape(tau.shape))
    trimmed = np.array(trimmed)
    sign = np.where(trimmed.sum(0) >= 0, 1, -1)
    agree = np.sign(trimmed) == sign
    divisor = sum(weight * mask for weight, mask in zip(weights, agree, strict=True))
    return np.where(agree, trimmed, 0).sum(0) / np.where(divisor == 0, 1, divisor)


def sti(taus, k):
    """The interference metric, by its definition."""
    parts = [svd(tau) for tau in taus]
    u, s, v = (np.hstack([part[:, :k] for part in side]) for side in
               ([u for u, _, _ in parts], [s[None] for _, s, _ in parts], [vt.T for _, _, vt in parts]))
    count = u.shape[1]
    identity = np.eye(count)
    return np.abs((u.T @ u - identity) @ np.diag(s[0]) @ (v.T @ v - identity)).sum() / (count * (count - 1))
