"""The theory's promises on random and adversarial draws: acceptance criteria 1 to 3."""

import math

import numpy as np
import pytest

from jaxtrunc.sae.baselines import raw_direction
from jaxtrunc.sae.recovery import recovery_error
from jaxtrunc.sae.selection import ClassSums, Pooled
from jaxtrunc.sae.subspace import subspace
from jaxtrunc.sae.synthetic import Concepts, half_aligned
from jaxtrunc.sae.theory import Monosemanticity, error_bound, raw_floor, sharper_bound, tolerated_nu

DRAWS = 100


def unit_columns(rng: np.random.Generator, d: int, count: int) -> np.ndarray:
    w = rng.standard_normal((d, count))
    return w / np.linalg.norm(w, axis=0)


@pytest.mark.parametrize("r", [2, 4, 8, 16])
def test_one_direction_never_beats_its_floor(r):
    rng = np.random.default_rng(r)
    concepts = Concepts(unit_columns(rng, 64, 128), r)
    population = concepts.mean_difference[:, None]
    assert recovery_error(population, concepts.target) == pytest.approx(raw_floor(r), abs=1e-4)
    for rows in (20, 200, 20_000):
        aligned = half_aligned(rows)
        h = concepts.sample(aligned, rng)
        estimate = raw_direction(h[aligned], h[~aligned])
        assert recovery_error(estimate, concepts.target) >= raw_floor(r) - 1e-4


def moved_rows(rng: np.random.Generator, w: np.ndarray, nu: float, adversarial: bool) -> np.ndarray:
    """Decoder rows exactly ν from the true directions; adversarial: all along what least supports the span, out of it."""
    d, r = w.shape
    if not adversarial:
        return (w + nu * unit_columns(rng, d, r)).T
    weakest = np.linalg.svd(w)[2][-1]  # of the row space: the combination of concepts that is shortest
    out = np.linalg.qr(np.column_stack([w, rng.standard_normal(d)]))[0][:, -1:]
    return (w + nu * out * np.sign(weakest)).T


@pytest.mark.parametrize("adversarial", [False, True])
def test_rows_near_the_truth_span_nearly_the_truth(adversarial):
    rng = np.random.default_rng(7)
    closest = 0.0
    for relative in np.linspace(0.01, 0.95, DRAWS):
        r = int(rng.integers(2, 9))
        w = unit_columns(rng, 64, r)
        sigma_0 = np.linalg.svd(w, compute_uv=False)[-1]
        nu = relative * sigma_0 / math.sqrt(r)
        error = recovery_error(subspace(moved_rows(rng, w, nu, adversarial), rank=r).u, w)
        assert error <= sharper_bound(r, nu, sigma_0) <= error_bound(r, nu, sigma_0)
        for target in (0.1, 0.5, 1.0):
            assert error < target or nu >= tolerated_nu(r, target, sigma_0)
        closest = max(closest, error / sharper_bound(r, nu, sigma_0))
    assert closest > (0.5 if adversarial else 0.1), "a bound that nothing comes near was tested on draws too tame"


def test_the_tolerance_is_the_bound_solved_for_nu():
    for r, target, sigma_0 in ((2, 0.1, 0.9), (8, 0.5, 0.4), (16, 1.5, 0.7)):
        assert error_bound(r, tolerated_nu(r, target, sigma_0), sigma_0) == pytest.approx(target)
    assert error_bound(4, 0.5, 1.0) == math.inf


def mixing(rng: np.random.Generator, n: int, difference: np.ndarray, facts: Monosemanticity, adversarial: bool) -> np.ndarray:
    """M: on the diagonal d_min, beside it as much as ε allows, at random or aimed at one feature of each kind."""
    r, most = facts.r, facts.epsilon / math.sqrt(facts.r)
    off = np.zeros((n, n))
    if adversarial:
        off[r, :r] = difference / np.linalg.norm(difference)  # a feature outside T that collects all of T
        weakest = int(np.argmin(difference))
        others = np.where(np.arange(r) == weakest, 0, difference)
        off[weakest, :r] = -others / np.linalg.norm(others)  # and one of T that all the others push down
    else:
        off = rng.standard_normal((n, n))
    np.fill_diagonal(off, 0)
    longest = max(np.linalg.norm(off, axis=0).max(), np.linalg.norm(off, axis=1).max())
    return facts.d_min * np.eye(n) + off * most / longest


def class_differences(rng: np.random.Generator, facts: Monosemanticity, adversarial: bool, n: int = 40) -> np.ndarray:
    """Δ as streaming selection sees it, from samples whose concept means differ by exactly what `facts` says."""
    r = facts.r
    difference = rng.uniform(facts.delta, facts.delta_max, r)
    difference[0], difference[-1] = facts.delta, facts.delta_max
    aligned = np.arange(20) < 10
    s = rng.exponential(size=(10, n))
    s = np.concatenate([s, s])  # the same concepts in both classes, then T lifted in one
    s[np.ix_(aligned, np.arange(r))] += difference
    m = mixing(rng, n, difference, facts, adversarial)
    blur = np.where(aligned[:, None], 1.0, -1.0) * np.where(np.arange(n) < r, -1, 1) if adversarial else rng.uniform(-1, 1, (20, n))
    activations = s @ m.T + facts.eta * blur
    sums = ClassSums.empty(n)
    ones = np.ones(20, np.int32)
    sums.add(Pooled(activations, None, ones, (activations > 0).astype(np.int32), ones), aligned)
    return np.abs(sums.difference)


def drawn_facts(rng: np.random.Generator, separable: bool) -> Monosemanticity:
    while True:
        delta, eta = rng.uniform(0.2, 1.0), rng.uniform(0, 0.05)
        facts = Monosemanticity(r=int(rng.integers(2, 9)), epsilon=rng.uniform(0.01, 0.8), delta=delta, eta=eta,
                                delta_max=delta * rng.uniform(1, 2), d_min=rng.uniform(0.5, 1.0))
        if facts.separable == separable and facts.low + facts.high > 0:
            return facts


@pytest.mark.parametrize("adversarial", [False, True])
def test_with_a_margin_the_threshold_selects_exactly_the_concepts(adversarial):
    rng = np.random.default_rng(11)
    for _ in range(DRAWS):
        facts = drawn_facts(rng, separable=True)
        delta = class_differences(rng, facts, adversarial)
        chosen = np.flatnonzero(delta > (facts.low + facts.high) / 2)
        assert chosen.tolist() == list(range(facts.r))
        assert delta[facts.r :].max() <= facts.low + 1e-9 and delta[: facts.r].min() >= facts.high - 1e-9


def test_without_a_margin_it_goes_wrong():
    rng = np.random.default_rng(13)
    wrong = 0
    for _ in range(DRAWS):
        facts = drawn_facts(rng, separable=False)
        delta = class_differences(rng, facts, adversarial=True)
        chosen = np.flatnonzero(delta > (facts.low + facts.high) / 2)
        wrong += chosen.tolist() != list(range(facts.r))
    assert wrong >= DRAWS // 2


def test_the_condition_reads_as_in_the_specification():
    r, epsilon, delta_max, d_min, eta = 5, 0.2, 1.3, 0.8, 0.02
    least = (epsilon * (1 + math.sqrt((r - 1) / r)) * delta_max + 4 * eta) / d_min
    assert Monosemanticity(r, epsilon, least * 1.0001, delta_max, d_min, eta).separable
    assert not Monosemanticity(r, epsilon, least * 0.9999, delta_max, d_min, eta).separable
