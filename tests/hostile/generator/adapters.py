"""PEFT adapter folders."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from generator.case import ADAPTED, Case, Place, change_json, change_tensor, framed, pipe

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
B = A.replace("lora_A", "lora_B")


def _set(**changes: Any):
    return lambda place: change_json(place.adapter / CONFIG, **changes)


def _renamed(new: str):
    def spoil(place: Place) -> None:
        tensors = load_file(place.adapter / WEIGHTS)
        save_file({new if name == A else name: array for name, array in tensors.items()}, place.adapter / WEIGHTS)

    return spoil


def configs() -> Iterator[Case]:
    """adapter_config.json."""
    for id, changes, word in [
        ("r-text", {"r": "2"}, "r must"),
        ("r-bool", {"r": True}, "r must"),
        ("r-other", {"r": 3}, "rank 3"),
        ("r-null", {"r": None}, "r must"),
        ("r-huge", {"r": 10**400}, "r must"),
        ("alpha-list", {"lora_alpha": [1]}, "lora_alpha"),
        ("alpha-nan", {"lora_alpha": float("nan")}, "NaN"),
        ("alpha-infinite", {"lora_alpha": float("inf")}, "Infinity"),
        ("pattern-list", {"rank_pattern": [1]}, "rank_pattern"),
        ("pattern-bad-regex", {"rank_pattern": {"((": 2}}, "rank_pattern"),
        ("pattern-text", {"alpha_pattern": {"q_proj": "2"}}, "alpha_pattern"),
        ("pattern-overflow", {"rank_pattern": {"a{99999999999}": 2}}, "rank_pattern"),
        ("dora", {"use_dora": True}, "use_dora"),
        ("type", {"peft_type": "LOHA"}, "LORA"),
        ("start", {"init_lora_weights": ["pissa"]}, "init_lora_weights"),
    ]:
        yield Case(f"adapter-{id}", _set(**changes), ADAPTED, (WEIGHTS if id == "r-other" else CONFIG, word))
    yield Case("adapter-config-a-list", lambda place: (place.adapter / CONFIG).write_text("[]"), ADAPTED, (CONFIG, "LORA"))
    yield Case("adapter-slow-pattern", _set(rank_pattern={"((\\w|\\.)+)+!": 2}), ADAPTED, (CONFIG, "too slow"), hazard=True)


def weights() -> Iterator[Case]:
    """adapter_model.safetensors."""

    def pickled(place: Place) -> None:
        (place.adapter / WEIGHTS).unlink()
        (place.adapter / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")

    yield Case("adapter-pickle-only", pickled, ADAPTED, (WEIGHTS, "missing"))
    yield Case("adapter-header", lambda place: (place.adapter / WEIGHTS).write_bytes(framed({A: {}})), ADAPTED, (WEIGHTS, "dtype"))
    yield Case("adapter-unknown-target", _renamed(A.replace("q_proj", "qkv_proj")), ADAPTED, (WEIGHTS, "only one of"))
    yield Case("adapter-no-factor", _renamed("something.else"), ADAPTED, (WEIGHTS, "something.else"))
    yield Case(
        "adapter-other-width",
        lambda place: change_tensor(place.adapter / WEIGHTS, A, lambda array: array[:, :-1]),
        ADAPTED,
        (WEIGHTS, "features"),
    )
    yield Case(
        "adapter-infinite",
        lambda place: change_tensor(place.adapter / WEIGHTS, B, lambda array: array * np.float32(np.inf)),
        ADAPTED,
        (WEIGHTS, "lora_B", "NaN or infinity"),
    )
    yield Case("adapter-overflows", _both_large, ADAPTED, ("q_proj",), begins=True)
    yield Case("adapter-a-pipe", lambda place: pipe(place.adapter / WEIGHTS), ADAPTED, (WEIGHTS,), hazard=True)


def _both_large(place: Place) -> None:
    for name in (A, B):
        change_tensor(place.adapter / WEIGHTS, name, lambda array: np.full_like(array, 1e30))


FAULTS = (configs, weights)
