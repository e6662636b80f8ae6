#!/usr/bin/env bash
# Prepare one TPU VM host: a virtual environment with jaxtrunc and the TPU build of JAX, then a check of what is there.
set -euo pipefail

help() {
    cat <<'TEXT'
Usage: ./tpu_setup.sh [--dry-run]

Installs this checkout with the extra `tpu` into a virtual environment and ends with `jaxtrunc doctor`. Running it again
brings the environment up to date. On a pod slice it must run on every worker at once: `launch/tpu.sh setup` does that.

  VENV=DIR         the environment (default ~/.venvs/jaxtrunc)
  PYTHON=PROGRAM   the Python to build it with (default: the newest of python3.13, python3.12, python3.11, python3)
  --dry-run        print the commands and do nothing

Exit codes: 0 ready, 1 an installation step or the check failed, 2 no suitable Python.
TEXT
}

fail() {
    printf 'tpu_setup.sh: error: %s\n' "$1" >&2
    exit "$2"
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate candidates=(python3.13 python3.12 python3.11 python3)
    [[ -z "${PYTHON:-}" ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and none was found; run 'sudo apt-get install python3.11 python3.11-venv', or create the TPU VM with a newer --version" 2
}

step() {
    if [[ "$dry_run" == yes ]]; then
        printf '%q ' "$@"
        echo
    else
        "$@"
    fi
}

dry_run=no
case "${1:-}" in
    "") ;;
    --dry-run) dry_run=yes ;;
    --help | -h) help && exit 0 ;;
    *) fail "unknown option '$1'; ./tpu_setup.sh --help shows what there is" 2 ;;
esac

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="${VENV:-$HOME/.venvs/jaxtrunc}"
if ! new_enough "$venv/bin/python"; then
    python="$(find_python)"
    step "$python" -m venv "$venv" ||
        fail "no virtual environment could be made in $venv; run 'sudo apt-get install python3-venv' for $python, or remove $venv if it is old" 1
fi
pip=("$venv/bin/python" -m pip install --disable-pip-version-check -q -c "$here/constraints.txt")
step "${pip[@]}" -e "${here}[tpu]" || fail "the installation into $venv failed; what pip said stands above" 1
step "$venv/bin/jaxtrunc" doctor || fail "jaxtrunc doctor found something wrong; its advice stands above" 1
[[ "$dry_run" == yes ]] || echo "ready: $venv/bin/jaxtrunc"
