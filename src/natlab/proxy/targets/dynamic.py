"""Dynamic knowledge distillation (MPLE, section 3.4 and appendix F)."""

from dataclasses import dataclass
from math import log
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.proxy.interface import Prediction, References
from natlab.proxy.published import BETA, GAMMA

SPARED = 1000  # words of the vocabulary that it takes to make up for weighing a part of it first


@dataclass
class Dynamic:
    """T is, for each sentence anew, the candidate that minimises L_NAT(T) - β Σ_i γ_i S(Γ_i, T) (equation 21).

    L_NAT is the objective's own -log P(T | Z*, X) by the present model, also where the proxy input reveals tokens
    (appendix F), in bits, and, as ``per`` says, of the whole sentence or per token. Appendix F writes -log P(T|Z*,X),
    the sentence's; in the tables L_NAT is averaged per token. With γ as published, its 2.3 for the raw target against
    0.7 for the smallest teacher's alone is β 1.6 S(T, T) = 32: bits of a token could never outweigh that, those of a
    sentence can. S is the sentence BLEU, 0 to 100. Of equally good candidates the first is taken.

    beta: a number or one of the paper's by name. gamma: "tuned", by `natlab candidates`, one of the paper's by
    name, or a number a candidate, the raw reference's last. Without ``regulariser`` T minimises L_NAT alone (Table 9).
    """

    needs: ClassVar[tuple[str, ...]] = ("parallel",)
    offers: ClassVar[tuple[str, ...]] = ("plain target",)
    references: ClassVar[str] = "candidates"
    blank: ClassVar[bool] = False
    kernels: ClassVar[bool] = False

    beta: Annotated[float, ">= 0"] | Literal["wmt14_ende", "wmt17_zhen"] = 0.2
    gamma: Literal["tuned", "wmt14_ende", "wmt17_zhen"] | list[float] = "tuned"
    regulariser: bool = True
    per: Literal["sentence", "token"] = "sentence"

    def __call__(self, references: References, prediction: Prediction) -> Tensor:
        candidates = references.candidates
        lengths = candidates.ne(prediction.model.config.pad).sum(2)
        distortion = self.distortion(references)

        def cost(asked: Tensor, among: Tensor | None = None) -> Tensor:
            """That of the candidates asked for, bool [B, K], infinite elsewhere; at least that, if ``among`` words."""
            made = distortion.masked_fill(~asked, torch.inf)
            which = asked.flatten().nonzero()[:, 0]
            if len(which):
                length = lengths.flatten().index_select(0, which)
                predicted = prediction.at(length, which // asked.shape[1], among)
                target = candidates.flatten(0, 1).index_select(0, which)[:, : int(length.max())]
                bits = prediction.objective.nll(predicted, target) / log(2)
                made.view(-1).index_add_(0, which, bits / length if self.per == "token" else bits)
            return made

        # A lower bound of what each candidate costs: its distortion, as L_NAT is not negative; a closer one, where the
        # candidates' words are few of the vocabulary, is what it costs if only they are weighed. The candidate of the
        # lowest bound, with those as long, is weighed in full first, then only those it does not rule out.
        least, vocabulary = distortion, prediction.model.config.target_vocabulary
        if vocabulary > SPARED and vocabulary - 2 * len(words := candidates.unique()) > SPARED:
            least = cost(torch.ones_like(lengths, dtype=torch.bool), words)
        first = lengths.eq(lengths.gather(1, least.argmin(1, keepdim=True)))
        found = cost(first)
        found = torch.minimum(found, cost(~first & (least <= found.amin(1, keepdim=True))))
        chosen = found.argmin(1)
        return candidates[torch.arange(len(chosen), device=chosen.device), chosen]

    def distortion(self, references: References) -> Tensor:
        """-β Σ_i γ_i S(Γ_i, Γ_j) of each candidate j, [B, K]; 0 without the regulariser."""
        bleu = references.bleu.float()
        if not self.regulariser:
            return bleu.new_zeros(bleu.shape[:2])
        beta = BETA[self.beta] if isinstance(self.beta, str) else self.beta
        gamma = GAMMA.get(self.gamma) if isinstance(self.gamma, str) else self.gamma
        weights = references.gamma if gamma is None else bleu.new_tensor(gamma)
        return -beta * (weights[:, None] * bleu).sum(1)
