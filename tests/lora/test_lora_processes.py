"""`jaxtrunc run` with a LoRA control by two processes of four devices: the same choice and adapters as by one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parent.parent / "study"))

from one_layer import write_base

from jaxtrunc.demo import ASSETS

QUICK = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}  # nearly all is compiling
pytestmark = pytest.mark.slow
CONFIG = {"name": "n", "base_model": "base", "task": str(ASSETS / "task.yaml"), "mesh": {"data": 2, "fsdp": 2, "tensor": 2},
          "train": {"max_steps": 2, "learning_rate": 2e-3, "batch_size": 8, "keep": "last"},
          "sweep": {"operators": ["top_k"], "ranks": [2], "limit": 40},
          "lora": {"ranks": [2], "learning_rates": [1e-2, 2e-2]}}


def test_two_processes_make_the_adapters_of_one(tmp_path):
    write_base(tmp_path / "base")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(CONFIG))
    together(tmp_path, 1, "run", str(tmp_path / "run.yaml"), "--out-path", str(tmp_path / "one"), "-q")
    together(tmp_path, 2, "run", str(tmp_path / "run.yaml"), "--out-path", str(tmp_path / "two"), "-q")
    one, two = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two"))
    assert one["lora"]["learning_rate"] == two["lora"]["learning_rate"] and one["lora"]["ranks"] == two["lora"]["ranks"] == [2]
    factors = [load_file(tmp_path / name / "lora/r2/adapter_model.safetensors") for name in ("one", "two")]
    assert factors[0].keys() == factors[1].keys()
    for key in factors[0]:
        np.testing.assert_allclose(factors[0][key], factors[1][key], atol=1e-5, err_msg=key)
    keys = [[(record["operator"], record["k"]) for record in result["records"]] for result in (one, two)]
    assert keys[0] == keys[1] and ("lora", 2) in keys[0]


def together(folder: Path, count: int, *arguments: str) -> None:
    """The program in processes that find each other, with eight devices in all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    common = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // count}",
              "JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(count), **QUICK,
              "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    children = [subprocess.Popen([sys.executable, "-m", "jaxtrunc", *arguments], env=common | {"JAX_PROCESS_ID": str(index)},
                                 stderr=subprocess.PIPE, text=True, cwd=folder) for index in range(count)]
    try:
        errors = [child.communicate(timeout=500)[1] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0] * count, "\n\n".join(text[-3000:] for text in errors)
