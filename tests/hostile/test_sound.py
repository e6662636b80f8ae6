"""Before they are spoilt, the same inputs go through the same commands: what is refused elsewhere is the fault itself."""

import pytest
from generator.case import ADAPTED, EXPORT, FINETUNE, REPORT, RUN, SWEEP

from jaxtrunc.cli import main


@pytest.mark.parametrize(
    "verb", [ADAPTED, EXPORT, REPORT, SWEEP, RUN, FINETUNE], ids=["adapted", "export", "report", "sweep", "run", "finetune"]
)
def test_sound_input_is_taken(verb, place):
    main(place.arguments(verb))
    assert any((place.out if "{out}" in verb else place.run).iterdir())
