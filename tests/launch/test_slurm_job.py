"""launch/slurm.sbatch with a stand-in srun and scontrol: requeued after code 3 and after nothing else."""

import pytest

JOB = {"SLURM_JOB_ID": "77", "SLURM_CPUS_PER_TASK": "4"}
HOSTILE = ["a b.yaml", "name=$(touch pwned)", "x='`id`'", 'y="\\"']


def slurm(standins, *arguments, **more):
    return standins.run("launch/slurm.sbatch", *arguments, **(JOB | more))


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (2, False), (3, True), (137, False)])
def test_requeued_after_3_only(standins, code, requeued):
    standins.answer(("srun", [{"code": code}]))
    done = slurm(standins, "c.yaml")
    assert done.returncode == code
    assert standins.calls("scontrol") == ([["scontrol", "requeue", "77"]] if requeued else [])


def test_a_run_that_never_ends_is_not_requeued_for_ever(standins):
    standins.answer(("srun", [{"code": 3}]))
    done = slurm(standins, "c.yaml", SLURM_RESTART_COUNT="5", MAX_REQUEUES="5")
    assert done.returncode == 3 and "stopped after 5 requeues" in done.stderr and not standins.calls("scontrol")


def test_every_start_resumes_and_arguments_arrive_verbatim(standins):
    assert slurm(standins, *HOSTILE).returncode == 0
    assert standins.calls("jaxtrunc")[-1] == ["jaxtrunc", "run", *HOSTILE, "--resume"]


def test_dry_run_prints_both_commands_and_does_nothing(standins):
    done = slurm(standins, "--dry-run", *HOSTILE)
    assert done.returncode == 0 and standins.calls() == []
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["srun", "scontrol"]
    assert slurm(standins).returncode == 2
