"""Gram matrices on the devices, eigenvectors there or on the host: both right, the faster one taken, unless one is asked for."""

import itertools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType
from matrices import OnZero, decomposed, gaussian, with_spectrum

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import decompose_into, load, references
from jaxtrunc.spectral.backends import eigensolver
from jaxtrunc.spectral.backends.device import decompose_device
from jaxtrunc.spectral.backends.eigensolver import Eigensolver

R = 48
STACK = np.stack([gaussian(90, R), *(with_spectrum(s, 90, R) for s in (np.geomspace(1, 1e-5, R), np.arange(1, R + 1.0) ** -1))])


def mesh_of(count: int):
    return jax.make_mesh((count,), ("stack",), devices=jax.devices()[:count], axis_types=(AxisType.Explicit,))


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("leading", [None, 5])
@pytest.mark.parametrize("route", eigensolver.ROUTES)
def test_both_routes_are_as_accurate_as_lapack_in_float64(route, leading, devices):
    s, basis = decompose_device(STACK, mesh_of(devices), leading, Eigensolver(route))
    assert s.shape == (3, leading or R) and basis.shape == (3, R, leading or R) and basis.dtype == np.float64
    for matrix, values, vectors in zip(STACK, s, basis, strict=True):
        wanted = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)[:leading]
        assert np.max(np.abs(values / wanted - 1)) < 1e-10
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(wanted)), atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(matrix @ vectors, axis=0), wanted, rtol=1e-10)


@pytest.mark.parametrize("slow", eigensolver.ROUTES)
def test_the_faster_route_is_measured_once_per_size_and_taken(slow, monkeypatch):
    asked, clock = [], itertools.count()
    fast = next(name for name in eigensolver.ROUTES if name != slow)

    def watched(name, route):
        def run(grams, leading, mesh):
            asked.append(name)
            for _ in range(9 if name == slow else 2):
                next(clock)
            return route(grams, leading, mesh)

        return run

    monkeypatch.setattr(eigensolver, "ROUTES", {name: watched(name, route) for name, route in eigensolver.ROUTES.items()})
    monkeypatch.setattr(eigensolver.time, "perf_counter", lambda: float(next(clock)))
    updates = {"a/kernel": np.stack([gaussian(90, R, seed) for seed in range(4)]), "b/kernel": gaussian(60, 90, 9)}
    base = {path: np.zeros_like(leaf) for path, leaf in updates.items()}
    found = decomposed(base, updates, backend="device", mesh=mesh_of(2))
    assert asked == ["device", "host", fast, "device", "host", fast, fast]  # one stack of 60, two of 48
    assert {size: facts["eigensolver"] for size, facts in found.measured.items()} == {"48": fast, "60": fast}
    assert found.measured["48"]["seconds"][slow] > found.measured["48"]["seconds"][fast]
    assert found.measured["48"]["matrices"] == 2


def test_one_that_is_asked_for_is_taken_without_a_measurement():
    for route in eigensolver.ROUTES:
        made = OnZero(STACK[0], backend="device", eigensolver=route)
        assert made.decomposition.measured == {}


def test_what_was_measured_is_stored_and_a_resumed_decomposition_keeps_to_it(tmp_path, monkeypatch):
    updates = {"a/kernel": np.stack([gaussian(90, R, seed) for seed in range(2)])}
    base = {path: np.zeros_like(leaf) for path, leaf in updates.items()}
    refs = references({"a/kernel": (2, 90, R)})
    begun = decompose_into(tmp_path, base, updates, refs[:1], backend="device")
    assert begun.measured["48"]["eigensolver"] in eigensolver.ROUTES
    monkeypatch.setattr(eigensolver, "_seconds", lambda call: pytest.fail("measured again"))
    decompose_into(tmp_path, base, updates, refs, backend="device")
    assert load(tmp_path).measured == begun.measured


@pytest.mark.parametrize(("backend", "route"), [("gram64", "host"), ("device", "gpu")])
def test_one_that_makes_no_sense_is_refused(backend, route):
    with pytest.raises(InputError, match=f"--eigensolver {route}: expected device or host, together with --backend device"):
        OnZero(STACK[0], backend=backend, eigensolver=route)
