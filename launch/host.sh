#!/usr/bin/env bash
# What tpu.sh runs on every host of a slice: mount the shared run directory, start a detached run, tell how it stands.
set -euo pipefail

help() {
    cat <<'TEXT'
Usage, in a checkout of jaxtrunc on a TPU VM:

  launch/host.sh mount BUCKET              mount a bucket as runs/, which every host of a slice must share (gcsfuse)
  launch/host.sh start ID [argument …]     jaxtrunc run argument … --out-path runs/ID, detached from this session
  launch/host.sh state ID                  one line: none, running, lost (ended without a word: killed, rebooted) or code N
  launch/host.sh log ID                    what the run printed, and what it goes on to print
  launch/host.sh stop ID                   TERM: the run stores a checkpoint and ends with code 3

The program is taken from $VENV (default ~/.venvs/jaxtrunc), where ./tpu_setup.sh puts it. Notes on a run lie in
.launch/ID.{log,pid,code}.
TEXT
}

fail() {
    printf 'host.sh: error: %s\n' "$1" >&2
    exit "${2:-2}"
}

mount_bucket() {
    mkdir -p runs
    if mountpoint -q runs; then
        echo "runs/ is mounted already"
        return
    fi
    command -v gcsfuse >/dev/null || fail "gcsfuse is not on this host, and without it the hosts cannot share runs/; install the package gcsfuse on every worker"
    gcsfuse --implicit-dirs "$1" runs
}

# Only a session of its own outlives the one of ssh.
start() {
    local id="$1"
    shift
    [[ "$(state "$id")" != running ]] || fail "run $id is running on this host already; stop it first" 1
    mkdir -p .launch
    rm -f ".launch/$id.code" ".launch/$id.pid"
    setsid nohup launch/host.sh attend "$id" "$@" >>".launch/$id.log" 2>&1 </dev/null &
    echo "started run $id on $(hostname)"
}

# The detached half of start. The code is renamed into place, so that it is whole when it is seen.
attend() {
    local id="$1" note=".launch/$1" code=0
    shift
    "${VENV:-$HOME/.venvs/jaxtrunc}/bin/jaxtrunc" run "$@" --out-path "runs/$id" &
    echo "$!" >"$note.pid"
    wait "$!" || code=$?
    echo "$code" >"$note.tmp"
    mv "$note.tmp" "$note.code"
}

# A pid may be another's by now, so the command line is compared: the program's, or for its first instant attend's.
state() {
    local note=".launch/$1"
    if [[ -f "$note.code" ]]; then
        echo "code $(<"$note.code")"
    elif [[ ! -f "$note.log" ]]; then
        echo none
    elif [[ ! -f "$note.pid" ]] || tr '\0' ' ' 2>/dev/null <"/proc/$(<"$note.pid")/cmdline" | grep -qF -e " --out-path runs/$1 " -e " attend $1 "; then
        echo running
    else
        echo lost
    fi
}

stop() {
    [[ "$(state "$1")" == running ]] || fail "run $1 is not running on this host" 1
    kill -TERM "$(<".launch/$1.pid")"
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
verb="${1:---help}"
shift || true
case "$verb" in
    --help | -h) help ;;
    mount | start | attend | state | log | stop)
        [[ $# -ge 1 ]] || fail "$verb: expected a name after it; launch/host.sh --help shows how"
        case "$verb" in
            mount) mount_bucket "$1" ;;
            log) exec tail -n +1 -F ".launch/$1.log" ;;
            *) "$verb" "$@" ;;
        esac
        ;;
    *) fail "unknown command '$verb'; known: mount, start, state, log, stop" ;;
esac
