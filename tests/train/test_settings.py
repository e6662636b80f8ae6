"""Settings: bad values are refused by name, and reading them needs neither jax nor numpy."""

import subprocess
import sys

import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.train.settings import PretrainSettings, TrainSettings


@pytest.mark.parametrize(("key", "value"), [
    ("learning_rate", 0.0), ("epochs", 0), ("batch_size", 0), ("clip", -1.0), ("warmup_share", 1.0),
    ("weight_decay", -0.1), ("patience", 0), ("max_steps", 0)])
def test_bad_values_name_the_key(key, value):
    with pytest.raises(InputError, match=key):
        TrainSettings(**{key: value})


def test_accumulation_must_divide_the_batch():
    with pytest.raises(InputError, match="accumulation 3"):
        TrainSettings(batch_size=8, accumulation=3)


def test_pretraining_trains_everything():
    assert PretrainSettings().scope == "all"


def test_settings_import_no_arrays():
    code = "import sys, jaxtrunc.train.settings; sys.exit(any(m in sys.modules for m in ('jax', 'numpy', 'flax')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
