"""The suggested mesh fits by its own count, and nothing smaller does."""

import dataclasses

import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.planning.meshes import MeshShape, candidates, parse_mesh
from jaxtrunc.planning.plan import divides_rows, make_plan
from jaxtrunc.planning.sizes import in_words, parse_size
from jaxtrunc.recipes.plan import What, Where, planned


@pytest.mark.parametrize(("fixture", "memory"), [("half_b", "16GiB"), ("seven_b", "80GiB"), ("seven_b", "16GiB"),
                                                   ("seventy_b", "80GiB")])
def test_the_smallest_mesh_is_suggested(fixture, memory, request):
    plan, _ = planned(What(base_model=str(request.getfixturevalue(fixture))), Where(device_memory=memory, host_memory="8TiB"))
    assert not plan.fits and plan.suggestion is not None
    assert on(plan, plan.suggestion).fits
    fewer = [mesh for mesh in candidates() if mesh.size < plan.suggestion.size and divides_rows(plan.job, mesh)]
    assert fewer and not any(on(plan, mesh).fits for mesh in fewer)
    less_tensor = [mesh for mesh in candidates() if mesh.size == plan.suggestion.size and mesh.tensor < plan.suggestion.tensor]
    assert not any(divides_rows(plan.job, mesh) and on(plan, mesh).fits for mesh in less_tensor)


def on(plan, mesh: MeshShape):
    return make_plan(plan.job, dataclasses.replace(plan.machine, mesh=mesh))


def test_no_mesh_helps_a_host_that_is_too_small(half_b):
    plan, _ = planned(What(base_model=str(half_b)), Where(device_memory="80GiB", host_memory="1GiB"))
    assert plan.suggestion is None and all("each host" in shortage for shortage in plan.shortages)


def test_more_devices_take_less_each(seven_b):
    peaks = {}
    for mesh in ("fsdp=1", "fsdp=8", "fsdp=8,tensor=4"):
        plan, _ = planned(What(base_model=str(seven_b)), Where(mesh, "80GiB", "8TiB"))
        peaks[mesh] = {stage.name: stage.device_peak() for stage in plan.stages}
    for stage in ("fine-tuning", "sweep"):
        one, eight, many = (peak[stage] for peak in peaks.values())
        assert one > eight > many


def test_candidates_are_ordered_by_devices_then_tensor():
    found = list(candidates())
    assert [str(mesh) for mesh in found[:4]] == [f"data=1,fsdp={fsdp},tensor={tensor}" for fsdp, tensor in
                                                 ((1, 1), (2, 1), (1, 2), (4, 1))]
    assert [mesh.size for mesh in found] == sorted(mesh.size for mesh in found) and found[-1].size == 4096


def test_meshes_as_typed():
    assert parse_mesh("data=1, fsdp=8,tensor=2") == MeshShape(1, 8, 2)
    assert parse_mesh(str(MeshShape(2, 4, 1))) == MeshShape(2, 4, 1)
    assert parse_mesh("tensor=4") == MeshShape(tensor=4)


@pytest.mark.parametrize("text", ["", "8", "fsdp", "fsdp=", "fsdp=0", "fsdp=-1", "fsdp=2.5", "rows=2", "fsdp=2,fsdp=2", "fsdp=2,,",
                                  "fsdp=²"])
def test_malformed_meshes(text):
    with pytest.raises(InputError, match="--mesh: expected sizes"):
        parse_mesh(text)


@pytest.mark.parametrize(("text", "size"), [("16GiB", 2**34), ("80GB", 80 * 10**9), ("1.5 gib", 3 * 2**29), ("512B", 512)])
def test_sizes(text, size):
    assert parse_size("--device-memory", text) == size


@pytest.mark.parametrize("text", ["", "16", "GiB", "-1GiB", "0GiB", "16XB", "1e3GiB"])
def test_malformed_sizes(text):
    with pytest.raises(InputError, match="--device-memory: expected a size"):
        parse_size("--device-memory", text)


def test_words_have_three_digits():
    assert [in_words(size) for size in (5, 2000, 2**30 + 2**28, 15 * 2**30 + 2**28, 130 * 2**40)] == [
        "5 B", "1.95 KiB", "1.25 GiB", "15.2 GiB", "130 TiB"]
