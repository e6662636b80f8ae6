"""Training: settings, the loop, checkpoints. This file imports no jax, so that the command line can read the settings.

The entry points are `jaxtrunc.train.finetune.finetune`, `jaxtrunc.train.lora.train_lora` and
`jaxtrunc.train.pretrain.pretrain`.
"""

from jaxtrunc.train.settings import LoraSettings, PretrainSettings, TrainSettings

__all__ = ["LoraSettings", "PretrainSettings", "TrainSettings"]
