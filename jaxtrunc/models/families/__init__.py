"""One small file per family: Hugging Face config to ours, and one invertible key table."""

from jaxtrunc.models.families import gemma2, llama, mistral, qwen2, qwen3
from jaxtrunc.models.families.family import Family

FAMILIES: dict[str, Family] = {module.FAMILY.name: module.FAMILY for module in (gemma2, llama, mistral, qwen2, qwen3)}
