"""Two processes of four devices are one process of eight: fine-tuning, scoring, exchange, input, stopping, checkpoints."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_eval
from runs import losses, train, whole
from test_epoch_rows import ROWS
from tiny import CONFIG

from jaxtrunc.core.checkpoints import CheckpointStore
from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.core.trees import flatten
from jaxtrunc.evals import Scorer
from jaxtrunc.models import Execution, to_hf
from jaxtrunc.train.pretrain import first_params

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parent.parent
CLOSE = 1e-6  # the same sums in the same order; only the transport between devices differs


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """The directory that both processes have filled."""
    directory = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    paths = os.pathsep.join(str(TESTS / room) for room in ("..", "train", "evals", "mesh"))
    common = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_COORDINATOR_ADDRESS": address,
              "JAX_NUM_PROCESSES": "2", "PYTHONPATH": paths,
              "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_COMPILATION_CACHE_DIR": str(directory / "compiled"),
              "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, TESTS / "mesh" / "one_of_two.py", directory]
    children = [subprocess.Popen(command, env=common | {"JAX_PROCESS_ID": str(index)}, stderr=subprocess.PIPE, text=True)
                for index in range(2)]
    try:
        errors = [child.communicate(timeout=240)[1] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0, 0], "\n\n".join(text[-3000:] for text in errors)
    return directory


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Directory and weights of the same run in this process, on all eight devices."""
    directory = tmp_path_factory.mktemp("alone")
    return directory, train(directory, compute_mesh(2, 2, 2))


def saved(out: Path, name: str) -> list[dict[str, np.ndarray]]:
    """What each of the two processes saved under this name."""
    return [dict(np.load(out / f"{name}-{index}.npz")) for index in range(2)]


def test_the_loss_curve_is_that_of_one_process(out, alone):
    lines = (out / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 7, "six steps and one validation, written by one process"
    np.testing.assert_allclose(losses(out / "run"), losses(alone[0]), rtol=CLOSE)


def test_both_processes_can_fetch_the_whole_model(out, alone):
    want = dict(to_hf(CONFIG, alone[1]))
    for found in saved(out, "tensors"):
        assert found.keys() == want.keys()
        for name, tensor in want.items():
            np.testing.assert_allclose(found[name], tensor, atol=1e-6, err_msg=name)


def test_random_first_weights_do_not_depend_on_the_mesh(out):
    want = whole(first_params(CONFIG, 5, None))
    for found in saved(out, "first"):
        for path, leaf in want.items():
            np.testing.assert_allclose(found[path], leaf, rtol=1e-6, err_msg=path)


def test_scores_are_those_of_one_device_on_every_host(out):
    scorer, params = Scorer(tiny_eval.CONFIG, Execution()), tiny_eval.random_params()
    for name, strings in (("verbalizer", tiny_eval.SINGLE), ("likelihood", tiny_eval.STRINGS)):
        want = scorer.score(params, tiny_eval.random_set(continuations=strings, scoring=name)).scores
        first, second = (found[name] for found in saved(out, "scores"))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_allclose(first, want, atol=1e-4)


def test_matrices_of_both_hosts_come_together(out):
    for dims, entries in ((3, 5), (2, 1)):
        want = np.stack([np.full((8, 12), number + 1.0) * np.arange(12) for number in range(entries)])
        for found in saved(out, f"exchange{dims}"):
            np.testing.assert_array_equal(found["leaf"].reshape(want.shape), want)
            assert entries == 1 or sorted(np.bincount(found["owners"])) == [2, 3], "each rebuilds its share"


def test_each_process_reads_what_its_devices_hold(out):
    for found in saved(out, "asked"):
        assert found["asked"].tolist() == [found["size"] // 2, found["size"]]


def test_no_row_of_an_epoch_is_doubled_or_lost(out):
    first, second = (found["rows"].tolist() for found in saved(out, "rows"))
    assert first and second
    assert sorted(first + second) == list(range(ROWS))


def test_a_signal_to_one_process_stops_both_at_the_same_step(out):
    first, second = ((out / f"stopped-{index}.txt").read_text() for index in range(2))
    assert first == second
    with CheckpointStore(out / "stopped" / "checkpoints") as store:
        (step,) = store.steps
    assert first.startswith(f"SIGTERM after step {step} of 6;")
    assert 2 <= step <= 4, "at most two steps after the signal"


def test_one_process_goes_on_from_the_checkpoint_of_two(out, alone, tmp_path):
    shutil.copytree(out / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "6")
    tuned = whole(train(tmp_path / "run", resume=True, validate=lambda params: 0.5, eval_every=6))
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(alone[0]), rtol=2e-5)
    for path, leaf in flatten(alone[1]).items():
        np.testing.assert_allclose(tuned[path], np.asarray(leaf), atol=1e-5, err_msg=path)
    assert jax.process_count() == 1
