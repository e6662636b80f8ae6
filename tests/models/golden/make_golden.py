"""Writes the golden directories beside this file: tiny random models and what torch says about them.

    python tests/models/golden/make_golden.py

They let the parity of the decoder be checked where torch is not installed.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tiny_hf import make, tokens, torch_logits  # noqa: E402

CASES = {
    "qwen2": "qwen2 4/2 heads, tied",
    "llama": "llama biases everywhere",
    "llama3": "llama3 scaling",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "mistral": "mistral",
}


def main() -> None:
    """One directory a case: config.json, model.safetensors (bf16, so that they are small) and expected.npz."""
    import torch
    from transformers import AutoModelForCausalLM

    for name, case in CASES.items():
        folder = HERE / name
        make(case, seed=7).to(torch.bfloat16).save_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)  # not .float(): that keeps rounded rotary tables
        ids = tokens(3, 40, seed=7)
        lengths = np.array([40, 13, 1], np.int32)
        mask = np.arange(40) < lengths[:, None]
        logits = torch_logits(model.eval(), ids, attention_mask=mask)
        logits[~mask] = 0
        np.savez_compressed(folder / "expected.npz", tokens=ids, lengths=lengths, logits=logits)
        (folder / "generation_config.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
