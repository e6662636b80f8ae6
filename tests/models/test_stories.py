"""A real trained checkpoint: stories260K continues as its README says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrunc.models import head_logits, hidden_states, load_params, load_tokenizer, open_model, resolve_ref

CONTINUATION = (", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. "
                "She wanted to play with it, but it was too high.")  # fmt: skip


@pytest.fixture(scope="module")
def stories(shared_data):
    folder = resolve_ref(str(shared_data / "models" / "stories260k"))
    source = open_model(folder)
    return source.cfg, load_params(source.leaves()), load_tokenizer(folder)


def test_greedy_continuation(stories, shared_data):
    cfg, params, tokenizer = stories
    assert CONTINUATION in (shared_data / "models" / "stories260k" / "README.md").read_text()

    @jax.jit
    def following(tokens, length):
        hidden = hidden_states(params, cfg, tokens, length[None])
        return jnp.argmax(head_logits(params, cfg, hidden[0, length - 1]))

    ids = tokenizer("Once upon a time").input_ids
    ids = ids if ids[0] == tokenizer.bos_token_id else [tokenizer.bos_token_id, *ids]
    room = np.zeros((1, 160), np.int32)
    while CONTINUATION not in tokenizer.decode(ids) and len(ids) < 160:
        room[0, : len(ids)] = ids
        ids.append(int(following(room, jnp.int32(len(ids)))))
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Once upon a time" + CONTINUATION


def test_parameter_count(stories):
    _, params, _ = stories
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 260_032  # its README
