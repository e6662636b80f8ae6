"""A run with an autoencoder and features at one site, made of random numbers: nothing of a model is computed."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxtrunc.core.rundir import RunDir
from jaxtrunc.sae.arrays import write_arrays
from jaxtrunc.sae.formats import load_sae, save_sae
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.selection import ClassSums, Pooled, select
from jaxtrunc.sae.selection.store import write_features
from jaxtrunc.sae.sites import parse_site

SITE, BASE_MODEL = "resid_post.1", "models/own"
D, N, FEATURES, RESPONSES = 12, 40, 10, 30


def made_run(path: Path) -> RunDir:
    """Ten features at `SITE`; in the aligned class all are more active."""
    run, draw = RunDir(path), np.random.default_rng(0)
    run.begin(f"sae features {SITE}", f"features/{SITE}.json", {"base_model": BASE_MODEL}, resume=False)
    rows = draw.normal(size=(N, D)).astype(np.float32)
    save_sae(run / f"sae/{SITE}", SAE(w_enc=jnp.asarray(rows.T), w_dec=jnp.asarray(rows), b_enc=jnp.zeros(N), b_dec=jnp.zeros(D),
                                      kind="standard", subtract_b_dec=True, meta=(("site", SITE),)))
    sae, sums = load_sae(run / f"sae/{SITE}", site=parse_site(SITE)), ClassSums.empty(N)
    aligned = np.arange(2 * RESPONSES) % 2 == 0
    value = draw.uniform(size=(len(aligned), N)) + aligned[:, None] * draw.uniform(size=N)
    once = np.ones(len(aligned), np.int32)
    sums.add(Pooled(value, None, once, np.ones_like(value, np.int32), once), aligned)  # type: ignore[arg-type]
    write_features(run / f"features/{SITE}", select(sums, budget=FEATURES), sums, {
        "sae": f"sae/{SITE}", "sae_id": sae.facts["id"], "base_model": BASE_MODEL, "settings": {"min_density": 0.0}})
    raw = {name: draw.normal(size=(RESPONSES, D)).astype(np.float32) for name in ("aligned", "unaligned")}
    write_arrays(run / f"features/{SITE}.controls", raw)
    return run
