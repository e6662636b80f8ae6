"""Operations, against figures that were worked out without the program."""

import pytest

from jaxtrunc.models.flops import body_per_token
from jaxtrunc.models.flops import head as head_flops
from jaxtrunc.planning import flops
from jaxtrunc.recipes.plan import What, Where, planned

ANYWHERE = Where(device_memory="80GiB", host_memory="64GiB")


@pytest.mark.parametrize(("fixture", "decomposition", "body", "head"), [
    ("half_b", 1.5e12, 716e6, 272e6), ("seven_b", 108e12, 13_050e6, 1_090e6)])
def test_figures_worked_out_without_the_program(fixture, decomposition, body, head, request):
    job = planned(What(base_model=str(request.getfixturevalue(fixture))), ANYWHERE)[0].job
    assert flops.decomposition(job.matrices) == pytest.approx(decomposition, rel=0.05)
    assert body_per_token(job.cfg) == pytest.approx(body, rel=0.01)
    assert head_flops(job.cfg) == pytest.approx(head, rel=0.01)
    assert flops.prompt(job) == job.tokens * body_per_token(job.cfg) + head_flops(job.cfg)


def test_a_training_step_is_three_forward_passes_and_four_with_remat(half_b, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(f"name: x\nbase_model: {half_b}\ntask: {{}}\n")
    plain, again = (planned(What(config, (f"train.remat={remat}", "train.batch_size=8")), ANYWHERE)[0].job
                    for remat in ("false", "true"))
    assert flops.training_step(plain) == 3 * 8 * (plain.tokens * body_per_token(plain.cfg) + 2 * head_flops(plain.cfg))
    assert flops.training_step(again) * 3 == flops.training_step(plain) * 4
