"""docs/sae.md: every key of `jaxtrunc sae run`, in order, with the type and the default that the program has."""

from pathlib import Path
from typing import Any

import pytest
from key_tables import agrees_with_the_program, tables

from jaxtrunc.config import from_mapping, read_config
from jaxtrunc.recipes.sae.config import AdapterEntry, RefusalSources, SaeConfig, SaeData
from jaxtrunc.recipes.sae.run import plan
from jaxtrunc.recipes.sae.settings import AdapterTraining, AnswerSettings, FeatureSettings, SubspaceSettings
from jaxtrunc.recipes.sae.train import TextSettings, TrainingConfig
from jaxtrunc.sae.sites import parse_site
from jaxtrunc.sae.training.settings import SAETraining
from jaxtrunc.train.adapt_settings import AdaptSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sae.md").read_text()
NEEDED: dict[type, dict[str, Any]] = {
    SaeConfig: {"name": "n", "base_model": "b", "sites": ["resid_post.0"], "data": {}},
    RefusalSources: {"advbench": "a", "xstest": "x"}, AdapterEntry: {"init": "lora"},
}
TABLES = [("Config", SaeConfig), ("`data`", SaeData), ("`data.refusals`", RefusalSources), ("`adapters`, each entry", AdapterEntry),
          ("`sae`", SAETraining), ("`text`", TextSettings), ("`features`", FeatureSettings), ("`subspace`", SubspaceSettings),
          ("`adapt`", AdaptSettings), ("`train`, where it differs from fine-tuning (docs/config.md)", AdapterTraining),
          ("`answers`", AnswerSettings)]


def test_the_page_has_these_tables():
    assert [heading for heading, _ in tables(PAGE, "###")] == [heading for heading, _ in TABLES]


@pytest.mark.parametrize("place", range(len(TABLES)), ids=[heading.strip("`") for heading, _ in TABLES])
def test_keys_types_and_defaults_are_those_of_the_program(place):
    schema = TABLES[place][1]
    agrees_with_the_program(tables(PAGE, "###")[place][1], schema, NEEDED.get(schema, {}))


@pytest.mark.parametrize("name", ["small", "gemma-2-2b", "gemma-2-9b", "llama-3.1-8b"])
def test_the_configs_are_understood_to_the_last_adapter(name):
    config = read_config(ROOT / "configs" / "sae" / f"{name}.yaml", (), SaeConfig)
    planned = plan(config, [parse_site(site) for site in config.sites], name)
    assert len(planned) == len(config.adapters) * len(config.seeds) and len(config.seeds) >= 3
    assert {"random_u", "mean_diff", "pca_diff", "cov_diff", "shuffled", "lora"} < {entry.init for entry in config.adapters}
    assert any(one.config.adapt.freeze_b for one in planned)
    from_mapping(TrainingConfig, {"sae": config.sae, "text": config.text}, name)
    if name != "small":
        assert all(parse_site(site) for site in config.autoencoders) and set(config.autoencoders) == set(config.sites)
        assert {one.config.adapt.a_init for one in planned} == {"random", "zero", "compensated"}
        assert config.features.with_preset(config.preset).fraction == 0.30
