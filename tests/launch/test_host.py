"""launch/host.sh, run for real in a copied checkout: a detached run, its state, its end."""

import os
import subprocess
import time

import pytest

PROGRAM = """#!/usr/bin/env bash
trap 'echo saving; exit 3' TERM
echo "$@"
if [[ "$2" == wait ]]; then for _ in $(seq 600); do sleep 0.05; done; fi
exit "$2"
"""


@pytest.fixture
def host(standins):
    checkout = standins.checkout()
    program = standins.remote / ".venvs/jaxtrunc/bin/jaxtrunc"
    program.unlink()
    program.write_text(PROGRAM)
    program.chmod(0o755)

    def call(*arguments):
        environment = os.environ | {"HOME": str(standins.remote), "PATH": f"{standins.folder}:{os.environ['PATH']}"}
        return subprocess.run(["bash", str(checkout / "launch/host.sh"), *arguments], capture_output=True, text=True,
                              env=environment, timeout=30, check=False)

    call.checkout = checkout
    return call


def wait_for(host, wanted):
    for _ in range(200):
        if (state := host("state", "a").stdout.strip()) == wanted:
            return
        time.sleep(0.02)
    raise AssertionError(f"{state}, not {wanted}")


def wait_for_line(host, count):
    """Until the program has started so often, and listens."""
    while (host.checkout / ".launch/a.log").read_text().count("--out-path runs/a") < count:
        time.sleep(0.02)


@pytest.mark.parametrize("code", ["0", "1", "2", "3"])
def test_a_detached_run_leaves_its_code(host, code):
    assert host("state", "a").stdout == "none\n"
    assert host("start", "a", code).returncode == 0
    wait_for(host, f"code {code}")
    assert f"run {code} --out-path runs/a" in (host.checkout / ".launch/a.log").read_text()


def test_stop_lets_it_save_and_a_second_start_is_refused(host):
    host("start", "a", "wait")
    wait_for(host, "running")
    again = host("start", "a", "wait")
    assert again.returncode == 1 and "is running on this host already" in again.stderr
    wait_for_line(host, 1)
    assert host("stop", "a").returncode == 0
    wait_for(host, "code 3")
    assert host("stop", "a").returncode == 1
    assert host("start", "a", "wait").returncode == 0  # under the same name again
    assert host("state", "a").stdout == "running\n"
    wait_for_line(host, 2)
    host("stop", "a")
    wait_for(host, "code 3")


@pytest.mark.parametrize("arguments", [("jaxtrunc", "run", "--out-path", "runs/a"), ("launch/host.sh", "attend", "a", "wait")])
def test_a_process_counts_as_the_run_before_and_after_it_becomes_the_program(host, arguments):
    notes = host.checkout / ".launch"
    notes.mkdir()
    (notes / "a.log").touch()
    with subprocess.Popen(["bash", "-c", "read -r _; :", *arguments], stdin=subprocess.PIPE) as process:
        (notes / "a.pid").write_text(f"{process.pid}\n")
        assert host("state", "a").stdout == "running\n"
        process.communicate(b"\n")
    assert host("state", "a").stdout == "lost\n"


def test_a_host_that_was_switched_off_lost_the_run(host):
    notes = host.checkout / ".launch"
    notes.mkdir()
    (notes / "a.log").touch()
    (notes / "a.pid").write_text("1\n")  # a number that another process has by now
    assert host("state", "a").stdout == "lost\n"


def test_a_bucket_needs_gcsfuse_and_wrong_usage_is_one_sentence(host):
    if subprocess.run(["which", "gcsfuse"], capture_output=True, check=False).returncode == 0:
        pytest.skip("gcsfuse is installed here")
    done = host("mount", "b")
    assert done.returncode == 2 and "install the package gcsfuse" in done.stderr
    assert host("start").returncode == host("dance", "x").returncode == 2
