"""Order-agnostic cross entropy (OaXE, Du et al. 2021; MPLE, appendix E.4)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from natlab.kernels import assign
from natlab.proxy.interface import Prediction, References


@dataclass
class Oaxe:
    """T is the permutation of the reference that is the likeliest under Z*.

    A model is trained on it from a vanilla one (``start``), which keeps T near the reference; without the truncation of
    the original, as in MPLE (appendix G).
    """

    needs: ClassVar[tuple[str, ...]] = ("parallel", "target length")
    offers: ClassVar[tuple[str, ...]] = ()
    references: ClassVar[str] = "either"
    blank: ClassVar[bool] = False
    kernels: ClassVar[bool] = True

    def __call__(self, references: References, prediction: Prediction) -> Tensor:
        tokens = references.tokens
        predicted = prediction.of(tokens)
        cost = -predicted.log_probs_everywhere(tokens).transpose(1, 2)  # [B, position, token]
        chosen = assign(cost, predicted.lengths)
        return tokens.gather(1, chosen.clamp(min=0)).where(predicted.inside, prediction.model.config.pad)
