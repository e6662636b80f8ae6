"""What each kind of autoencoder minimises: functions (params, x, now, settings) → (loss, Seen)."""

from jaxtrunc.sae.training.losses.jumprelu import jumprelu_loss
from jaxtrunc.sae.training.losses.parts import Loss
from jaxtrunc.sae.training.losses.standard import standard_loss
from jaxtrunc.sae.training.losses.topk import batchtopk_loss, topk_loss

LOSSES: dict[str, Loss] = {"topk": topk_loss, "batchtopk": batchtopk_loss, "jumprelu": jumprelu_loss, "standard": standard_loss}
