"""How sure a NAT is of the position of what it says (Ghazvininejad et al. 2020, section 5 and Figure 3)."""

from math import inf

import torch
from torch import Tensor

REACH = 3  # positions to both sides
# The paper's two groups of sentences, by their target's tokens: from so many on, and fewer than so many.
GROUPS = {"short": (1, 10), "long": (31, inf)}


def around(log_probs: Tensor, said: Tensor, inside: Tensor) -> Tensor:
    """The probability of each token that was said, at positions up to `REACH` before and after its own: sums over the
    tokens of a sentence, and how many they are, [B, 2 REACH + 1, 2], from the furthest before to the furthest after.

    log_probs: [B, T, T], in nats, of the token said at position i (row) at position j (column);
    said: bool [B, T], where a token was said; inside: bool [B, T], the positions of a sentence.
    """
    counted = said[:, :, None] & inside[:, None, :]
    probabilities = torch.where(counted, log_probs.exp(), 0).double()
    bands = []
    for distance in range(-REACH, REACH + 1):
        sums = probabilities.diagonal(distance, 1, 2).sum(1)
        bands.append(torch.stack([sums, counted.diagonal(distance, 1, 2).sum(1).double()], 1))
    return torch.stack(bands, 1)


def token_probability(bands: Tensor, lengths: Tensor) -> dict[str, dict]:
    """Mean probabilities of sentences' ``bands`` [N, 2 REACH + 1, 2], as `around` gives them, by name: "short/-1" is
    that one position before a token's own, in sentences whose targets, ``lengths`` [N], are short.

    ``by_sentence``: each one's [sum, tokens], which can be resampled. Nothing of what no sentence of a group has.
    """
    values = {}
    for group, (least, below) in GROUPS.items():
        chosen = bands[(lengths >= least) & (lengths < below)]
        for distance in range(-REACH, REACH + 1):
            parts = chosen[:, REACH + distance]
            total, tokens = parts.sum(0).tolist()
            if tokens:
                by_sentence = [[round(part, 6), int(count)] for part, count in parts.tolist()]
                values[f"{group}/{distance:+d}".replace("+0", "0")] = {
                    "value": total / tokens,
                    "unit": "probability",
                    "sentences": len(parts),
                    "by_sentence": by_sentence,
                }
    return values
