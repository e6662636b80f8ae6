"""labels.json: features that are left out of the subspace, names in the report, and what is refused before anything is made."""

import json

import handmade_run as made
import numpy as np
import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.recipes.sae.chosen import read_chosen
from jaxtrunc.recipes.sae.controls import basis_of
from jaxtrunc.recipes.sae.results import write_results
from jaxtrunc.recipes.sae.settings import SubspaceSettings
from jaxtrunc.recipes.sae.subspace import subspace_on
from jaxtrunc.sae.bundle import read_bundle
from jaxtrunc.sae.sites import parse_site

SITE = parse_site(made.SITE)


@pytest.fixture
def run(tmp_path):
    return made.made_run(tmp_path / "run")


def say(run, said) -> None:
    (run / "labels.json").write_text(said if isinstance(said, str) else json.dumps(said))


def spanned(run):
    subspace_on(made.BASE_MODEL, SITE, run, SubspaceSettings(rank=4, weighting="delta"), resume=False)
    return read_bundle(run / f"subspace/{SITE}")


def test_features_that_are_not_kept_have_no_part(run):
    index = read_chosen(run, SITE).selection.index
    say(run, {made.SITE: {str(index[0]): {"keep": False, "label": "apologies"}, str(index[1]): {"label": "<b>greetings"}}})
    found = spanned(run)
    assert found.features.tolist() == index[1:].tolist()
    write_results(run.path)
    page = (run / "report.html").read_text()
    assert "apologies (left out)" in page and "&lt;b&gt;greetings" in page and "<b>greetings" not in page


def test_words_after_the_subspace_change_no_control(run):
    index = read_chosen(run, SITE).selection.index
    spanned(run)
    before = basis_of(run, SITE, "shuffled", 0).u
    say(run, {made.SITE: {str(feature): {"keep": False} for feature in index[:3]}})
    np.testing.assert_array_equal(basis_of(run, SITE, "shuffled", 0).u, before)


@pytest.mark.parametrize(("said", "words"), [
    ("[]", "object of sites"), ("{", "not valid JSON"), ({made.SITE: []}, "object of sites"),
    ({made.SITE: {"3": "apology"}}, "'3': expected"), ({made.SITE: {"3": {"label": 5}}}, "'label' "),
    ({made.SITE: {"3": {"keep": "no"}}}, "'keep'"), ({made.SITE: {"../../etc": {"label": "x"}}}, "etc"),
    ({"../../x": {"1": {"keep": False}}}, "KIND.LAYER"), ({"resid_pots.1": {}}, "did you mean 'resid_post'"),
    ({made.SITE: {"9999": {"keep": False}}}, "feature 9999 is not among the 10"),
])  # fmt: skip
def test_what_would_leave_nothing_out_is_refused(run, said, words):
    say(run, said)
    with pytest.raises(InputError, match=words) as refused:
        spanned(run)
    assert "labels.json" in str(refused.value) and not (run / "subspace").exists()


def test_all_left_out_is_refused(run):
    say(run, {made.SITE: {str(feature): {"keep": False} for feature in read_chosen(run, SITE).selection.index}})
    with pytest.raises(InputError, match="keep at least one"):
        spanned(run)


def test_the_report_names_the_file(run):
    say(run, {made.SITE: {"3": {"label": 5}}})
    with pytest.raises(InputError, match=r"labels\.json"):
        write_results(run.path)
