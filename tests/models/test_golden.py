"""Parity without torch: logits that torch computed once (golden/make_golden.py)."""

from pathlib import Path

import numpy as np
import pytest

from jaxtrunc.models import Execution, head_logits, hidden_states, load_params, open_model

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("name", ["qwen2", "llama", "llama3", "qwen3", "gemma2", "mistral"])
def test_logits_that_torch_gave(name, scan):
    source = open_model(GOLDEN / name)
    params = load_params(source.leaves())
    expected = np.load(GOLDEN / name / "expected.npz")
    tokens, lengths = expected["tokens"], expected["lengths"]
    found = head_logits(params, source.cfg, hidden_states(params, source.cfg, tokens, lengths, Execution(scan=scan)))
    real = np.arange(tokens.shape[1]) < lengths[:, None]
    np.testing.assert_allclose(np.asarray(found)[real], expected["logits"][real], atol=1e-4)
