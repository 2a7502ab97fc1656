"""Noisy parallel decoding of a vanilla NAT by itself (CoDAT, An et al. 2023, section 3.3, Table 2)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from natlab.decoding import Hypothesis, distinct
from natlab.decoding.kinds.argmax import finished, likeliest, likely_lengths
from natlab.models import noisy
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.seeds import of_sentences


@dataclass
class Noisy:
    """Of ``samples`` targets of the likeliest length, the argmax of as many passes with Gaussian noise of standard
    deviation ``sigma`` on the decoder's input (`natlab.models.noisy`), the one of the greatest mean log-probability of
    its tokens under its own pass. The noise of a sentence follows from ``seed`` and its tokens, whatever batch it is
    in.

    Not the noisy parallel decoding in which a teacher chooses among lengths (Gu et al. 2018; kind argmax).
    """

    needs: ClassVar[tuple[str, ...]] = ("target length",)
    of_dataset: ClassVar[tuple[str, ...]] = ("length_factor",)
    n_best: ClassVar[bool] = True

    samples: Annotated[int, ">= 1"] = 7
    sigma: Annotated[float, ">= 0"] = 0.3
    length_factor: Annotated[float, "> 0"] = 1.0
    deduplicate: bool = False
    seed: Annotated[int, ">= 0", "<= 4294967295"] = 1

    @torch.inference_mode()
    def __call__(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> list[Tensor]:
        return [found[0].tokens for found in self.hypotheses(model, source_tokens)]

    @torch.inference_mode()
    def hypotheses(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> list[list[Hypothesis]]:
        """All targets of each source, each once, the best first."""
        source = model.encoder(source_tokens)
        lengths = likely_lengths(model, source, 1, self.length_factor)[:, 0]  # [B]
        own = of_sentences(source_tokens, source.lengths, self.seed)
        seeds = [[seed + number for number in range(self.samples)] for seed in own]
        tokens, log_probs = likeliest(model, noisy.states(model, source, lengths, self.sigma, seeds))  # [B K, T]
        flat = lengths.repeat_interleave(self.samples)
        inside = torch.arange(tokens.shape[1], device=flat.device) < flat[:, None]
        scores = ((log_probs * inside).sum(1) / flat).view(-1, self.samples)  # [B, K]
        targets = finished(model, tokens, flat, self.deduplicate)
        found = []
        for row, order in enumerate(scores.argsort(dim=1, descending=True, stable=True).tolist()):
            of_row = (Hypothesis(targets[row * self.samples + n], float(scores[row, n])) for n in order)
            found.append(distinct(of_row))
        return found
