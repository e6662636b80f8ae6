"""`jaxtrunc pretrain`: from plain text to a small base model with its own tokenizer, as a Hugging Face directory."""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrunc.config import MeshSettings
from jaxtrunc.config import read_config as read_yaml
from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import refuse_taken
from jaxtrunc.core.progress import say
from jaxtrunc.core.trees import Params
from jaxtrunc.data import text_batches
from jaxtrunc.models import DecoderConfig, Execution, load_tokenizer, read_config, to_hf, write_model
from jaxtrunc.recipes.pretrain_config import ModelSettings, PretrainConfig
from jaxtrunc.recipes.pretrain_text import Gathered, gather
from jaxtrunc.recipes.pretrain_tokenizer import train_tokenizer
from jaxtrunc.recipes.weights import open_mesh
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.pretrain import pretrain as train_on

TRAINING, VALIDATION, WITHHELD, CONFIG = "training.jsonl", "validation.jsonl", "withheld.jsonl", "pretrain.json"


def pretrain(config_file: Path, overrides: tuple[str, ...], out_path: Path | None, *, resume: bool) -> None:
    """Gather text, train a tokenizer and a decoder on it, and write a directory that `transformers` opens.

    Work in progress lies in a hidden directory beside `out_path`, which appears only when it is whole.

    Raises:
      InputError: a wrong config, text that cannot be read, `out_path` taken, or an interrupted training that was begun
        with another config; RunFailed, Interrupted: as in fine-tuning.
    """
    config = read_yaml(config_file, overrides, PretrainConfig)
    _divide_cpu(config.train.batch_size // config.train.accumulation)
    final = out_path or Path(config.out_path or f"runs/{config.name}")
    refuse_taken(final)
    work = final.with_name(f".{final.name}.pretraining")
    say(f"pre-training {config.name}: the model will be {final}")
    _begin(work, config, resume)
    _prepare(work, config, config_file.parent)
    cfg, tokenizer = read_config(work), load_tokenizer(work)
    settings = config.train
    stream = text_batches([work / TRAINING], tokenizer, settings.window, settings.batch_size, settings.seed)
    say(f"pre-training: {cfg.num_layers} layers of width {cfg.hidden_size}, {len(tokenizer)} tokens in the vocabulary, "
        f"{len(stream.tokens)} tokens of text")
    params = train_on(cfg, stream, settings, work, execution=Execution(), resume=resume, mesh=open_mesh(MeshSettings()))
    loss = _validation_loss(params, cfg, work, tokenizer, config)
    facts = {"validation_loss": loss, "training_tokens": len(stream.tokens)}
    write_model(final, to_hf(cfg, params), source=work, cfg=cfg, dtype="float32", readme=_card(config, facts))
    shutil.copyfile(work / "metrics.jsonl", final / "metrics.jsonl")
    jsonio.write_json(final / CONFIG, dataclasses.asdict(config) | {"results": facts})
    shutil.rmtree(work)
    say(f"model: {final} (held-out loss {loss:.4f} nats per token)")


def _divide_cpu(rows: int) -> None:
    """On CPU let each core work on its own share of `rows`; the model is small enough for one copy each."""
    if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        shares = [count for count in range(1, (os.cpu_count() or 1) + 1) if rows % count == 0]
        jax.config.update("jax_num_cpu_devices", max(shares))


def _begin(work: Path, config: PretrainConfig, resume: bool) -> None:
    """Claim the working directory, or check that what lies there belongs to the same config."""
    wanted = jsonio.strict(dataclasses.asdict(config))
    if not work.exists():
        jsonio.write_json(work / CONFIG, wanted)
        return
    if not resume:
        raise InputError(f"{work}: holds an interrupted pre-training; continue it with --resume or delete it")
    begun = jsonio.read_json(work / CONFIG)
    changed = [section for section in wanted if begun.get(section) != wanted[section]]
    if changed:
        raise InputError(f"{work / CONFIG}: the interrupted pre-training had another {', '.join(changed)}; take "
                         "the old config, or delete the directory to begin anew")


def _prepare(work: Path, config: PretrainConfig, directory: Path) -> None:
    """Text, tokenizer and config.json, unless an earlier attempt has finished them."""
    if (work / "config.json").exists():
        return
    files = Gathered(work / TRAINING, work / VALIDATION, work / WITHHELD)
    gather(config.data, directory, files)
    documents = (row["text"] for file in (files.training, files.withheld) for row in jsonio.read_lines(file))
    train_tokenizer(documents, config.tokenizer.vocab_size, work)
    jsonio.write_json(work / "config.json", _hf_config(config.model, load_tokenizer(work)))


def _hf_config(model: ModelSettings, tokenizer: Any) -> dict[str, Any]:
    from transformers import Qwen2Config

    end = tokenizer.eos_token_id
    values = dataclasses.asdict(model)
    rope = {"rope_theta": values.pop("rope_theta"), "rope_type": "default"}
    config = Qwen2Config(vocab_size=len(tokenizer), rope_parameters=rope, eos_token_id=end, pad_token_id=end,
                         architectures=["Qwen2ForCausalLM"], **values)
    return config.to_diff_dict()


def _validation_loss(params: Params, cfg: DecoderConfig, work: Path, tokenizer: Any, config: PretrainConfig) -> float:
    """Mean −ln p of the held-out text, in nats per token."""
    settings = config.train
    stream = text_batches([work / VALIDATION], tokenizer, settings.window, settings.batch_size, 0)
    total = jax.jit(lambda params, batch: loss_sum(params, cfg, batch, Execution()))
    sums = [float(total(params, step_batch(next(stream)))) for _ in range(stream.batches_per_epoch)]
    return float(np.sum(sums)) / (len(sums) * settings.batch_size * settings.window)


def _card(config: PretrainConfig, facts: dict[str, Any]) -> str:
    shape = config.model
    return f"""# {config.name}

A small Qwen2 base model with a tokenizer of its own, made by `jaxtrunc pretrain`: {shape.num_hidden_layers} layers of
width {shape.hidden_size}. Its loss on held-out text is {facts['validation_loss']:.4f} nats per token.
`pretrain.json` holds the whole config.
"""
