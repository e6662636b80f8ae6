"""Criterion 4: how weights are stored does not matter."""

import numpy as np
import pytest
from matrices import gaussian, orthonormal

from jaxtrunc.spectral import Layout, Level, Reconstructor, decompose, references, select
from jaxtrunc.spectral.backends import device
from jaxtrunc.spectral.select import shape_class

LAYERS, D, HEADS, DH = 3, 96, 4, 24
K = 5
# σ to 1e-12·s₁ and ΔW_k to 1e-5·‖ΔW‖ in float64; CPU devices have it
TOLERANCES = {"gram64": (1e-12, 1e-5), "host": (1e-12, 1e-5), "device": (1e-12, 1e-5)}


def signal(m: int, n: int, seed: int) -> np.ndarray:
    """A gap after K components, so that ΔW_K is well defined."""
    return ((orthonormal(m, K, seed) * np.linspace(3, 2, K)) @ orthonormal(n, K, seed + 50).T + gaussian(m, n, seed, 0.01)
            ).astype(np.float32)


BASE = {part: np.stack([gaussian(D, D, layer + 10 * i, 0.02) for layer in range(LAYERS)]) for i, part in enumerate("qkvo")}
FT = {part: np.stack([BASE[part][layer] + signal(D, D, layer + 7 * i) for layer in range(LAYERS)])
      for i, part in enumerate("qkvo")}


def stored(how: str, leaves: dict) -> dict:
    """The same twelve matrices as a tree of leaves."""
    stack = {f"{part}/kernel": leaf for part, leaf in leaves.items()}
    if how == "stacked":
        return stack
    if how == "per layer":
        return {f"{layer}/{path}": leaf[layer] for path, leaf in stack.items() for layer in range(LAYERS)}
    if how == "head split":
        return {path: leaf.reshape((LAYERS, HEADS, DH, D) if path[0] == "o" else (LAYERS, D, HEADS, DH))
                for path, leaf in stack.items()}
    return {"qkv/kernel": np.concatenate([leaves[part] for part in "qkv"], axis=2), "o/kernel": leaves["o"]}


VIEWS = {
    "head split": {"q/kernel": Layout(1), "k/kernel": Layout(1), "v/kernel": Layout(1), "o/kernel": Layout(1, 2)},
    "fused": {"qkv/kernel": Layout(1, parts={"q": D, "k": D, "v": D})},
}


def place(how: str, part: str, layer: int) -> str:
    """The name of one matrix in a storage."""
    if how == "per layer":
        return f"{layer}/{part}/kernel"
    return f"qkv/kernel.{layer}#{part}" if how == "fused" and part != "o" else f"{part}/kernel.{layer}"


def entry(how: str, part: str, layer: int, leaves: dict) -> np.ndarray:
    """The matrix `(D, D)` of one part and layer."""
    if how == "per layer":
        return leaves[f"{layer}/{part}/kernel"]
    if how == "fused" and part != "o":
        start = "qkv".index(part) * D
        return leaves["qkv/kernel"][layer][:, start:start + D]
    return leaves[f"{part}/kernel"][layer].reshape(D, D)


def cut(how: str, backend: str):
    base, ft = stored(how, BASE), stored(how, FT)
    refs = references({path: leaf.shape for path, leaf in base.items()}, views=VIEWS.get(how))
    found = decompose(base, ft, refs, backend=backend)
    return found, Reconstructor(found, base, ft).weights(Level("top_k", k=K)).leaves


@pytest.mark.parametrize("backend", TOLERANCES)
@pytest.mark.parametrize("how", ["per layer", "head split", "fused"])
def test_storage_does_not_matter(how, backend):
    s_tolerance, w_tolerance = TOLERANCES[backend]
    found, weights = cut(how, backend)
    plain, expected = cut("stacked", "gram64")
    assert len(found.matrices) == len(plain.matrices) == 4 * LAYERS
    for part in "qkvo":
        for layer in range(LAYERS):
            ours, theirs = found.matrices[place(how, part, layer)], plain.matrices[f"{part}/kernel.{layer}"]
            np.testing.assert_allclose(ours.s, theirs.s, rtol=0, atol=s_tolerance * theirs.s[0])
            difference = entry(how, part, layer, weights) - expected[f"{part}/kernel"][layer]
            assert np.linalg.norm(difference) < w_tolerance * theirs.frobenius


@pytest.mark.parametrize("how", ["stacked", "per layer", "head split", "fused"])
def test_storage_does_not_matter_on_a_device_without_float64(monkeypatch, how):
    """σ to 1e-6·s₁ and ΔW_K to 1e-4·‖ΔW‖, against LAPACK in float64."""
    monkeypatch.setattr(device, "has_float64", lambda mesh: False)
    found, weights = cut(how, "device")
    assert {svd.basis.dtype for svd in found.matrices.values()} == {np.dtype(np.float32)}
    for part in "qkvo":
        for layer in range(LAYERS):
            update = (FT[part][layer] - BASE[part][layer]).astype(np.float64)
            u, s, vt = np.linalg.svd(update)
            np.testing.assert_allclose(found.matrices[place(how, part, layer)].s, s, rtol=0, atol=1e-6 * s[0])
            wanted = BASE[part][layer] + (u[:, :K] * s[:K]) @ vt[:K]
            assert np.linalg.norm(entry(how, part, layer, weights) - wanted) < 1e-4 * np.linalg.norm(update)


def test_heads_as_batch_are_cut_one_by_one():
    heads = Layout(1, parts={f"h{head}": DH for head in range(HEADS)})
    base, ft = {"q/kernel": BASE["q"]}, {"q/kernel": FT["q"]}
    refs = references({"q/kernel": BASE["q"].shape}, views={"q/kernel": heads})
    weights = Reconstructor(decompose(base, ft, refs), base, ft).weights(Level("top_k", k=1)).leaves["q/kernel"]
    for head in range(HEADS):
        columns = slice(head * DH, (head + 1) * DH)
        u, s, vt = np.linalg.svd((FT["q"] - BASE["q"])[2][:, columns].astype(np.float64), full_matrices=False)
        wanted = BASE["q"][2][:, columns] + s[0] * np.outer(u[:, 0], vt[0])
        np.testing.assert_allclose(weights[2][:, columns], wanted, atol=1e-5)


def test_experts_and_layers_are_batch():
    experts = gaussian(6, 40 * 48).reshape(2, 3, 40, 48)
    base, ft = {"experts/kernel": np.zeros_like(experts)}, {"experts/kernel": experts}
    refs = references({"experts/kernel": experts.shape}, names={"experts/kernel": ["layer.0", "layer.1"]})
    found = decompose(base, ft, refs)
    assert list(found.matrices) == [f"layer.{layer}#{expert}" for layer in range(2) for expert in range(3)]
    np.testing.assert_allclose(found.matrices["layer.1#2"].s, np.linalg.svd(experts[1, 2].astype(float), compute_uv=False),
                               rtol=1e-6)


def test_a_tied_head_is_one_matrix_and_is_cut_only_on_request():
    """Stored once under the embedding's path, so that it cannot be cut twice."""
    shapes = {"embed/embedding": (200, 32), "mlp/kernel": (32, 64), "norm/scale": (2, 32), "mlp/bias": (2, 64)}
    refs = references(shapes)
    assert [ref.path for ref in refs] == ["embed/embedding", "mlp/kernel"]

    def classes(path):
        return shape_class(path, shapes[path])

    assert [ref.path for ref in select(refs, classes)] == ["mlp/kernel"]
    assert [ref.path for ref in select(refs, classes, include=["embed"])] == ["embed/embedding"]


class Lazy:
    """A leaf that is read layer by layer, as checkpoints are."""

    def __init__(self, leaf):
        self._leaf, self.shape = leaf, leaf.shape

    def __len__(self):
        return len(self._leaf)

    def __getitem__(self, index):
        return self._leaf[index]


def test_lazy_leaves_give_the_same_bits():
    base, ft = stored("stacked", BASE), stored("stacked", FT)
    lazy = [{path: Lazy(leaf) for path, leaf in tree.items()} for tree in (base, ft)]
    refs = references({path: leaf.shape for path, leaf in base.items()})
    leaves = [Reconstructor(decompose(*trees, refs), *trees).weights(Level("drop_top_k", k=3)).leaves
              for trees in ((base, ft), lazy)]
    for path in base:
        np.testing.assert_array_equal(leaves[0][path], leaves[1][path])
