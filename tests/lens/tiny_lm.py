"""A tiny language model trained on made-up tokens, of which 24 never occur: heads whose never-trained rows are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

V, D, WINDOW, STEPS, BATCH, TOKENS, WITHHELD = 512, 32, 8, 1500, 256, 300_000, 24
TOPICS, COMMON, SWITCH, SUCCESSOR = 8, 0.4, 0.03, 0.3


def stream(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """TOKENS token ids and the withheld ids: in each topic words by Zipf's law, a share of them common to all topics; some words
    are followed by their fixed successor."""
    rng = np.random.default_rng(seed)
    withheld = np.sort(rng.choice(np.arange(16, V), WITHHELD, replace=False))
    words = rng.permutation(np.setdiff1d(np.arange(V), withheld))
    shared, own = np.split(words, [round(len(words) / (1 + TOPICS * (1 / COMMON - 1)))])  # COMMON of the words of each topic
    pools = [rng.permutation(np.r_[part, shared]) for part in np.array_split(own, TOPICS)]
    switches = np.where(rng.random(TOKENS) < SWITCH, np.arange(TOKENS), 0)
    topic = rng.integers(TOPICS, size=TOKENS)[np.maximum.accumulate(switches)]
    chosen = np.stack([rng.choice(pool, TOKENS, p=_zipf(len(pool))) for pool in pools])[topic, np.arange(TOKENS)]
    after, follows = np.zeros(V, int), rng.random(TOKENS) < SUCCESSOR
    after[words] = rng.permutation(words)
    for at in range(1, TOKENS):
        if follows[at]:
            chosen[at] = after[chosen[at - 1]]
    return chosen.astype(np.int32), withheld


def _zipf(count: int) -> np.ndarray:
    shares = 1 / np.arange(1, count + 1.0)
    return shares / shares.sum()


def init(seed: int, tied: bool) -> dict[str, jax.Array]:
    shapes = {"embedding": (V, D), "mix": (2 * D, D), "up": (D, 4 * D), "down": (4 * D, D)} | ({} if tied else {"head": (V, D)})
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return {name: 0.02 * jax.random.normal(key, shape) for key, (name, shape) in zip(keys, shapes.items(), strict=True)}


def logits(params: dict[str, jax.Array], windows: jax.Array) -> jax.Array:
    seen = params["embedding"][windows]
    hidden = jnp.concatenate([seen[:, -1], seen.mean(1)], axis=-1) @ params["mix"]
    hidden += jax.nn.gelu(hidden @ params["up"]) @ params["down"]
    hidden *= jax.lax.rsqrt(jnp.mean(hidden**2, axis=-1, keepdims=True) + 1e-6)
    return hidden @ params.get("head", params["embedding"]).T


@functools.cache
def optimiser() -> optax.GradientTransformation:
    return optax.adamw(optax.cosine_decay_schedule(3e-3, STEPS), weight_decay=0.1)


@jax.jit
def train(params: dict[str, jax.Array], tokens: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
    def loss(params: dict[str, jax.Array], starts: jax.Array) -> jax.Array:
        windows = tokens[starts[:, None] + jnp.arange(WINDOW)]
        found = optax.softmax_cross_entropy_with_integer_labels(logits(params, windows), tokens[starts + WINDOW])
        return found.mean()

    def step(state: tuple, key: jax.Array) -> tuple[tuple, None]:
        params, slots = state
        gradient = jax.grad(loss)(params, jax.random.randint(key, (BATCH,), 0, TOKENS - WINDOW))
        updates, slots = optimiser().update(gradient, slots, params)
        return (optax.apply_updates(params, updates), slots), None

    return jax.lax.scan(step, (params, optimiser().init(params)), jax.random.split(key, STEPS))[0][0]


def trained_head(seed: int, tied: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The head after training and before, float32 `(V, D)`, and the withheld ids."""
    tokens, withheld = stream(seed)
    start = init(seed, tied)
    name = "embedding" if tied else "head"
    return np.array(train(start, jnp.asarray(tokens), jax.random.key(seed + 100))[name]), np.array(start[name]), withheld
