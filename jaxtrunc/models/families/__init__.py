"""One small file per family: Hugging Face config to ours, and one invertible key table."""

from jaxtrunc.models.families import llama, qwen2
from jaxtrunc.models.families.family import Family

FAMILIES: dict[str, Family] = {module.FAMILY.name: module.FAMILY for module in (llama, qwen2)}
