"""The base model of a world: a tiny decoder trained from random weights, kept as a Hugging Face directory."""

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core import jsonio
from jaxtrunc.core.trees import Params
from jaxtrunc.data import Stream, TrainBatch
from jaxtrunc.models import DecoderConfig, Execution, load_params, open_model, to_hf, write_model
from jaxtrunc.recipes.steer.offline.world import World
from jaxtrunc.train.pretrain import pretrain
from jaxtrunc.train.settings import PretrainSettings


class Corpus(Stream):
    """One epoch of a world's rows, drawn as they are needed."""

    def __init__(self, world: World) -> None:
        super().__init__(world.seed)
        self.world, self.batches_per_epoch = world, world.pretraining

    def _plan(self, rng: np.random.Generator) -> list[int]:
        return [int(number) for number in rng.integers(2**31, size=self.batches_per_epoch)]

    def _batch(self, entry: int) -> TrainBatch:
        drawn = self.world.corpus(np.random.default_rng(entry), self.world.batch)
        lengths = np.full(len(drawn.tokens), drawn.tokens.shape[1], np.int32)
        return TrainBatch(drawn.tokens, lengths, drawn.labels, tuple(f"{entry}-{row}" for row in range(self.world.batch)))


def base(world: World, cache: Path) -> Path:
    """The directory of the trained base below `cache`; trained now unless it is there.

    Its name holds a digest of what it was trained on and how, so no other model is ever taken for it.
    """
    settings = PretrainSettings(learning_rate=world.rate, batch_size=world.batch, accumulation=1, weight_decay=0.01,
                                seed=world.seed, checkpoint_every=world.pretraining)
    directory = cache / f"{world.name}-{world.seed}-{_digest(world, settings)}"
    if not directory.exists():
        work = directory.with_name(f".{directory.name}.pretraining")
        shutil.rmtree(work, ignore_errors=True)  # of a run that was stopped: begun anew, it is short
        jsonio.write_json(work / "config.json", hf_config(world.cfg))
        params = pretrain(world.cfg, Corpus(world), settings, work, execution=Execution())
        write_model(directory, to_hf(world.cfg, params), source=work, cfg=world.cfg, dtype="float32")
        shutil.rmtree(work)
    return directory


def load_base(directory: Path) -> Params:
    """Its parameters."""
    return load_params(open_model(directory).leaves())


def hf_config(cfg: DecoderConfig) -> dict[str, Any]:
    """`config.json` of these shapes."""
    from transformers import LlamaConfig

    rope = {"rope_theta": cfg.rope.theta, "rope_type": "default"}
    config = LlamaConfig(vocab_size=cfg.vocab_size, hidden_size=cfg.hidden_size, intermediate_size=cfg.intermediate_size,
                         num_hidden_layers=cfg.num_layers, num_attention_heads=cfg.num_heads, num_key_value_heads=cfg.num_kv_heads,
                         head_dim=cfg.head_dim, max_position_embeddings=cfg.max_positions, rms_norm_eps=cfg.rms_norm_eps,
                         rope_parameters=rope, tie_word_embeddings=cfg.tie_embeddings, architectures=["LlamaForCausalLM"])
    return config.to_diff_dict()


def _digest(world: World, settings: PretrainSettings) -> str:
    first = next(Corpus(world))
    told = repr((world.cfg, dataclasses.asdict(settings), world.pretraining)).encode()
    return hashlib.sha256(told + first.tokens.tobytes() + first.targets.tobytes()).hexdigest()[:12]
