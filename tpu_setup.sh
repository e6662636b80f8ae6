#!/usr/bin/env bash
# Prepare one TPU VM host: a virtual environment with jaxtrunc and the TPU build of JAX, then a check of the devices.
#
#   ./tpu_setup.sh              install from this checkout into ~/.venvs/jaxtrunc
#   VENV=/path ./tpu_setup.sh   install elsewhere
#
# On a pod slice run it on every worker, e.g. with
#   gcloud compute tpus tpu-vm ssh NAME --zone ZONE --worker=all --command 'cd jaxtrunc && ./tpu_setup.sh'
# State: written for TPU VMs with Python >= 3.11 and not yet run on TPU hardware by us. Runs that span several hosts
# are not supported by this version; see launch/README.md.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
venv="${VENV:-$HOME/.venvs/jaxtrunc}"
python="${PYTHON:-python3}"

"$python" -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install -q --upgrade pip
"$venv/bin/python" -m pip install -q -c "$here/constraints.txt" -e "$here[tpu]"
"$venv/bin/jaxtrunc" doctor
echo "Ready: $venv/bin/jaxtrunc"
