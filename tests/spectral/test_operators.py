"""Operators besides the prefixes: energy, ratio, flatten, interpolation, gains of the user's own, scopes, regular expressions."""

import numpy as np
import pytest
from matrices import OnZero, decomposed, distance, gaussian, truth, with_spectrum

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import Level, Reconstructor, references, select

S = np.geomspace(4, 0.25, 48)
MADE = OnZero(with_spectrum(S, 80, 48))
SCALES = {"a/kernel": 1.0, "b/kernel": 0.2, "c/kernel": 5.0}
UPDATES = {path: gaussian(50, 40, seed) * np.float32(scale) for seed, (path, scale) in enumerate(SCALES.items())}
ZERO = {path: np.zeros_like(leaf) for path, leaf in UPDATES.items()}
DECOMPOSITION = decomposed(ZERO, UPDATES)


def rank(matrix) -> int:
    return int(np.linalg.matrix_rank(matrix.astype(np.float64), tol=1e-5 * 4))


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9, 0.99])
def test_energy_is_the_least_k_that_holds_it(tau):
    held = np.cumsum(MADE.svd.s**2) / np.sum(MADE.svd.s**2)
    k = int(np.argmax(held >= tau)) + 1
    assert distance(MADE.cut("energy", param=tau), truth(MADE.update, np.arange(k))) < 1e-5


@pytest.mark.parametrize("rho", [0.9, 0.5, 0.1])
def test_ratio_keeps_what_is_at_least_that_share_of_the_first(rho):
    k = int(np.sum(MADE.svd.s >= rho * MADE.svd.s[0]))
    assert 0 < k < 48
    assert distance(MADE.cut("ratio", param=rho), truth(MADE.update, np.arange(k))) < 1e-5


@pytest.mark.parametrize("k", [1, 7, 48])
def test_flatten_keeps_directions_and_energy_but_not_magnitudes(k):
    cut = MADE.cut("flatten_k", k)
    s = np.linalg.svd(cut.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(s[:k], np.sqrt(np.mean(MADE.svd.s[:k] ** 2)), rtol=1e-5)
    assert np.all(s[k:] < 1e-5 * s[0])
    u, _, vt = np.linalg.svd(MADE.update.astype(np.float64), full_matrices=False)
    assert distance(cut, s[0] * u[:, :k] @ vt[:k]) < 1e-5


def test_flatten_does_not_divide_by_noise():
    """The components below the numerical rank are storage noise of a merged LoRA: their directions stay out."""
    base = gaussian(80, 64, 1, std=0.02)
    lora = (gaussian(80, 4, 2, std=0.1) @ gaussian(4, 64, 3, std=0.1)).astype(np.float32)
    trees = {"k": base}, {"k": base + lora}
    leaf = Reconstructor(decomposed(*trees), *trees).weights(Level("flatten_k", k=60)).leaves["k"]
    s = np.linalg.svd(leaf.astype(np.float64) - base, compute_uv=False)
    assert np.sum(s > 1e-3 * s[0]) == 4


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_interpolation_scales_the_update(alpha):
    np.testing.assert_allclose(MADE.cut("interpolate", param=alpha), MADE.update * np.float32(alpha), rtol=1e-6)


@pytest.mark.parametrize(("fraction", "k"), [(0.0, 0), (0.005, 1), (0.1, 5), (0.5, 24), (0.98, 47)])
def test_a_fraction_keeps_at_least_one_component(fraction, k):
    wanted = MADE.cut("top_k", k)
    np.testing.assert_array_equal(MADE.cut("top_k", param=fraction), wanted)


def test_gains_of_the_users_own():
    gains = np.linspace(1.5, 0, 48)
    u, s, vt = np.linalg.svd(MADE.update.astype(np.float64), full_matrices=False)
    found = MADE.rebuild.custom(lambda spectrum: gains).leaves[MADE.name]
    assert distance(found, (u * (gains * s)) @ vt) < 1e-5
    soft = MADE.rebuild.custom(lambda spectrum: np.maximum(1 - 1.0 / spectrum.s, 0)).leaves[MADE.name]
    assert distance(soft, (u * np.maximum(s - 1, 0)) @ vt) < 1e-5


@pytest.mark.parametrize("gains", [np.ones(47), np.full(48, np.nan), -np.ones(48)], ids=["length", "NaN", "sign"])
def test_bad_gains_are_refused(gains):
    with pytest.raises(InputError, match=MADE.name):
        MADE.rebuild.custom(lambda spectrum: gains)


def kept(scope: str, k: int) -> dict[str, int]:
    leaves = Reconstructor(DECOMPOSITION, ZERO, UPDATES).weights(Level("top_k", k=k, scope=scope)).leaves
    return {path: int(np.linalg.matrix_rank(leaf.astype(np.float64), tol=1e-6)) for path, leaf in leaves.items()}


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("k", [1, 17, 60])
def test_the_global_scopes_keep_the_largest_of_all(relative, k):
    scaled = {path: svd.s / (svd.frobenius if relative else 1) for path, svd in DECOMPOSITION.matrices.items()}
    threshold = np.sort(np.concatenate(list(scaled.values())))[-k]
    assert kept("global_relative" if relative else "global", k) == {
        path: int(np.sum(s >= threshold)) for path, s in scaled.items()}


def test_the_global_scope_drops_what_it_would_keep():
    rebuild = Reconstructor(DECOMPOSITION, ZERO, UPDATES)
    top = {path: leaf.copy() for path, leaf in rebuild.weights(Level("top_k", k=30, scope="global")).leaves.items()}
    rest = rebuild.weights(Level("drop_top_k", k=30, scope="global")).leaves
    for path, update in UPDATES.items():
        np.testing.assert_allclose(top[path] + rest[path], update, atol=1e-5 * np.abs(update).max())


@pytest.mark.parametrize("level", [Level("random_k", k=3, seed=0, scope="global"), Level("energy", param=0.5, scope="global"),
                                   Level("top_k", k=3, scope="somewhere")], ids=str)
def test_a_scope_that_makes_no_sense_is_refused(level):
    with pytest.raises(InputError, match="scope"):
        Reconstructor(DECOMPOSITION, ZERO, UPDATES).weights(level)


NAMES = {"mlp/kernel": [f"model.layers.{i}.mlp.up_proj.weight" for i in range(12)]}
REFS = references({"mlp/kernel": (12, 40, 40), "tiny/kernel": (4, 8), "embed/embedding": (90, 40)}, NAMES)
CLASSES = {"mlp/kernel": "linear", "tiny/kernel": "linear", "embed/embedding": "embedding"}


@pytest.mark.parametrize(("include", "exclude", "count"), [
    ((), (), 12), ((r"layers\.[0-3]\.",), (), 4), ((), (r"layers\.1",), 9), ((r"up_proj",), (r"\.1\d\.",), 10),
    (("embed", r"layers\.0\."), (), 2)])
def test_layers_and_modules_are_chosen_by_regular_expressions(include, exclude, count):
    assert len(select(REFS, CLASSES.__getitem__, include, exclude)) == count


@pytest.mark.parametrize(("include", "exclude", "words"), [
    (("layers.99",), (), "layers.99"), (("tiny",), (), "1024"), ((), (".*",), "-e"), (("(",), (), "regular expression")])
def test_an_expression_that_selects_nothing_is_refused(include, exclude, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        select(REFS, CLASSES.__getitem__, include, exclude)
