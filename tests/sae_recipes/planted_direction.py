"""A known direction in a real model: c·v is added to some embeddings of one class, and a subspace is made without knowing v.

Criterion 12 of the method: stories260k, site resid_post.0, topk autoencoder of 256 latents with k = 8, 64 features, rank 16.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrunc.data.conversations import read_documents
from jaxtrunc.data.pieces import cut
from jaxtrunc.models import site_states
from jaxtrunc.recipes.sae.base import Base, open_base
from jaxtrunc.sae.baselines import cov_diff, mean_diff, pca_diff, random_u
from jaxtrunc.sae.recovery import recovery_error
from jaxtrunc.sae.sae import SAE, encode
from jaxtrunc.sae.selection import ClassSums, pool, select, shuffled
from jaxtrunc.sae.subspace import subspace
from jaxtrunc.sae.training.loop import train_sae
from jaxtrunc.sae.training.settings import SAETraining

LENGTH, PLACES, STRENGTH = 32, 4, 4.0
ROWS = 32  # sequences per pass, half with the direction
RANK, FEATURES = 16, 64
SITE = "resid_post.0"


@dataclass
class Planted:
    """The model with a second copy of every embedding row that has c·v added; token t + V is token t with the direction."""

    base: Base
    pieces: np.ndarray  # (N, 32) tokens of real text
    v: np.ndarray
    params: dict

    @classmethod
    def open(cls, model: Path, text: Path, seed: int) -> "Planted":
        base = open_base(str(model))
        pieces = [piece for piece in cut(read_documents(text), base.chat.tokenizer, LENGTH) if len(piece) == LENGTH]
        embedding = np.asarray(base.params["embed"]["embedding"])
        v = np.random.default_rng(seed).standard_normal(embedding.shape[1])
        v = (v / np.linalg.norm(v)).astype(np.float32)
        moved = embedding + STRENGTH * np.linalg.norm(embedding, axis=1).mean() * v
        params = base.params | {"embed": {"embedding": jnp.asarray(np.concatenate([embedding, moved]))}}
        return cls(base, np.array(pieces), v, params)

    def states(self, tokens: np.ndarray, site: str = SITE) -> np.ndarray:
        """(B, 32, d)."""
        return np.asarray(self._run(site)(self.params, tokens=tokens, lengths=np.full(len(tokens), LENGTH, np.int32))[site])

    def _run(self, site: str):
        cfg = dataclasses.replace(self.base.cfg, vocab_size=2 * self.base.cfg.vocab_size)
        return jax.jit(partial(site_states, cfg=cfg, sites=(site,)))

    def planted(self, tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The direction at `PLACES` random places of each row that hold no special token; the first is one."""
        places = np.argsort(rng.random((len(tokens), LENGTH - 1)), axis=1)[:, :PLACES] + 1
        moved = tokens.copy()
        np.put_along_axis(moved, places, np.take_along_axis(tokens, places, axis=1) + self.base.cfg.vocab_size, axis=1)
        return moved


class Chunks:
    """Activations of both classes, half each; what a chunk holds hangs on seed and number."""

    def __init__(self, planted: Planted, seed: int):
        self._planted, self._seed, self.state = planted, seed, 0
        self._run = planted._run(SITE)

    def restore(self, state: int) -> None:
        self.state = state

    def __next__(self) -> np.ndarray:
        rng = np.random.default_rng([self._seed, self.state])
        self.state += 1
        tokens = self._planted.pieces[rng.integers(len(self._planted.pieces), size=ROWS)]
        tokens[: ROWS // 2] = self._planted.planted(tokens[: ROWS // 2], rng)
        lengths = np.full(ROWS, LENGTH, np.int32)
        return np.asarray(self._run(self._planted.params, tokens=tokens, lengths=lengths)[SITE])[:, 1:].reshape(-1, 64)


def trained(planted: Planted, directory: Path, seed: int, steps: int = 3000) -> SAE:
    settings = SAETraining(kind="topk", n=256, k=8, steps=steps, batch=512, warmup=min(200, steps // 4), learning_rate=2e-3,
                           dead_tokens=50_000, seed=seed, checkpoint_every=steps)
    return train_sae(Chunks(planted, seed), settings, directory, d=64)


def errors(planted: Planted, sae: SAE, seed: int, sequences: int = 1024) -> dict[str, float]:
    """‖v_L − P_U v_L‖ of U and of every control (at most 1), the same of v itself and of layer 1, and E(U, U_shuffled)."""
    rng = np.random.default_rng([seed, 99])
    tokens = planted.pieces[rng.permutation(len(planted.pieces))[:sequences]]
    moved = planted.planted(tokens, rng)
    with_v, without = planted.states(moved), planted.states(tokens)
    sums, raw = ClassSums.empty(sae.n), {}
    inside = jnp.asarray(np.arange(LENGTH) > 0)
    pooled = jax.jit(lambda states: pool(encode(sae, states), jnp.broadcast_to(inside, states.shape[:2])))
    for aligned, states in ((True, with_v), (False, without)):
        sums.add(pooled(states), np.full(len(states), aligned))
        raw[aligned] = states[:, 1:].mean(axis=1)
    chosen, rows = select(sums, budget=FEATURES), np.asarray(sae.w_dec)
    found = {"subspace": subspace(rows[chosen.index], chosen.delta, RANK).u}
    drawn = shuffled(sums, chosen, seed)
    found["shuffled"] = subspace(rows[drawn.index], drawn.delta, RANK).u
    found["unweighted"] = subspace(rows[chosen.index], None, RANK).u
    found |= {"random_u": random_u(64, RANK, seed), "mean_diff": mean_diff(raw[True], raw[False], RANK, seed),
              "pca_diff": pca_diff(raw[True], raw[False], RANK, seed), "cov_diff": cov_diff(raw[True], raw[False], RANK)}
    hit = moved != tokens
    at = _unit((with_v - without)[hit].mean(axis=0))
    after = _unit((planted.states(moved, "resid_post.1") - planted.states(tokens, "resid_post.1"))[hit].mean(axis=0))
    residuals = {name: _outside(at, u) for name, u in found.items()}
    u = found["subspace"]
    return residuals | {"v itself": _outside(planted.v, u), "layer 1": _outside(after, u),
                        "E(U, U_shuffled)": recovery_error(u, found["shuffled"])}


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _outside(vector: np.ndarray, u: np.ndarray) -> float:
    return float(np.linalg.norm(vector - u @ (u.T @ vector)))
