#!/usr/bin/env bash
# The tests with the newest release of everything, on Python 3.12 or newer. May fail: docs/versions.md says how it last went.
#   .ci/newest.sh [pytest arguments]       PYTHON=python3.13 and VENV=DIR choose the Python and the environment
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-python3.12}"
venv="${VENV:-.venv-newest}"

"$python" -c 'import sys; sys.exit("newest.sh: error: Python 3.12 or newer is needed, set PYTHON" if sys.version_info < (3, 12) else 0)'
"$python" -m venv "$venv"
# What pyproject.toml asks for, without its upper limits.
"$venv/bin/python" - >"$venv/requirements.txt" <<'PYTHON'
import re
import tomllib

project = tomllib.load(open("pyproject.toml", "rb"))["project"]
for need in project["dependencies"] + project["optional-dependencies"]["test"]:
    print(re.sub(r",?<=?[^,;]+", "", need))
PYTHON
pip=("$venv/bin/python" -m pip install --disable-pip-version-check -q --upgrade)
"${pip[@]}" -r "$venv/requirements.txt"
"${pip[@]}" --no-deps -e .
"$venv/bin/python" -m pip list --disable-pip-version-check --format=freeze | grep -iE '^(jax|jaxlib|flax|optax|orbax-checkpoint|transformers|numpy)='
OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 "$venv/bin/python" -m pytest -q "$@"
