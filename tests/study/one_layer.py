"""The embedded base model with its first layer alone: every verb works on it, and little is compiled."""

import json
import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

from jaxtrunc.demo import ASSETS


def write_base(folder: Path) -> Path:
    """A model directory of one layer."""
    shutil.copytree(ASSETS / "model", folder)
    tensors = {name: tensor for name, tensor in load_file(folder / "model.safetensors").items()
               if ".layers." not in name or ".layers.0." in name}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1, "layer_types": config["layer_types"][:1]}))
    return folder
