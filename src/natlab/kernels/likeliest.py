"""The likeliest word of each row of logits, and the row's normaliser.

    words[n] = the first argmax_v logits[n, v],    normalisers[n] = log sum_v exp logits[n, v]

On a CPU a row is read once and what follows stays in the first cache; torch would write the softmax of all rows down.
On CUDA it is torch's own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from natlab.kernels.dag import accumulator
from natlab.kernels.library import call, implementation


def likeliest(logits: Tensor, never: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """The likeliest word [N], int64, of each row of logits [N, V], the first of equally likely ones, and log sum exp
    [N], in nats.

    logits: float64, float32, bfloat16 or float16. Normalisers are float32 (float64 of float64). never: words that are
    not taken, but weighed in the normaliser. Not differentiable. Which word is said of a row of minus infinities or
    with a nan, is not defined. The logits may be changed.
    """
    if logits.device.type != "cpu" or implementation() == "reference":
        return likeliest_reference(logits, never)
    rows, vocabulary = logits.shape
    words = torch.empty(rows, dtype=torch.int64)
    normalisers = torch.empty(rows, dtype=accumulator(logits))
    excluded = torch.tensor(never, dtype=torch.int64)
    sizes = logits.dtype, rows, vocabulary, len(never)
    call("likeliest", logits.detach().contiguous(), excluded, words, normalisers, *sizes)
    return words, normalisers


def likeliest_reference(logits: Tensor, never: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """`likeliest` in plain torch."""
    words = argmax(logits)
    probabilities = torch.softmax(logits, dim=1, dtype=accumulator(logits))
    best, probability = (part.gather(1, words[:, None])[:, 0] for part in (logits, probabilities))
    normalisers = log_normaliser(best, probability)
    if never:
        for word in never:  # one by one: a list would have to be brought to the device
            logits[:, word] = -torch.inf
        words = argmax(logits)
    return words, normalisers


def argmax(logits: Tensor) -> Tensor:
    """The first best word [...] of logits [..., V]; on a CPU by numpy, ten times as fast there."""
    on_cpu = logits.device.type == "cpu"
    return torch.from_numpy(logits.float().numpy().argmax(-1)) if on_cpu else logits.argmax(-1)


def log_normaliser(best: Tensor, probability: Tensor) -> Tensor:
    """log sum exp [R] of logits z from the best one [R] and its softmax [R]: p_max = exp(z_max - lse)."""
    return best.to(probability.dtype) - probability.log()
