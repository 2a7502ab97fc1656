"""How far a model is from the truth: its Q(Y|X) beside the P(Y|X) of a generated corpus."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

import torch
from torch import Tensor

from natlab.corpus.exact import Distribution, Tokens
from natlab.decoding import pad_right
from natlab.measuring.exactly import log_likelihood
from natlab.models.fills.codes import CodedCanvas
from natlab.models.transformer import Seq2Seq
from natlab.proxy.interface import Likelihood

DRAWS = 8  # of the codes that a canvas shows
TARGETS = 500  # of a source; of one that has more, as many are drawn
BATCH = 1_000  # targets at once, those of one source together


def divergence(
    model: Seq2Seq,
    objective: Likelihood | None,
    sources: Sequence[Tensor],
    distributions: Sequence[Distribution],
    numbers: Mapping[str, int],
) -> dict[str, dict]:
    """A model's Q (`natlab.measuring.exactly`) of sources, each [S] ending in eos, beside their P; ``numbers``: of the
    words that the model knows. Means over sources, each with ``by_sentence``.

    ``kl``: KL(P‖Q) in bits a sentence, the sum over all targets of a source; of one with more than `TARGETS` the mean
    over as many that are drawn from P, which ``signature`` says, and ``standard_error`` how far the value may be off
    for it. Where it is infinite, since Q of a possible target is 0, it is left out.
    ``held``: the share of P that is on targets that have any of Q.
    ``mass_allowed``: the share of Q that is on targets that P allows, of sources whose targets are not drawn.
    ``kl_redrawn``: of a canvas that shows some codes drawn by chance, KL(P‖Q) of the even mixture Q of `DRAWS` draws,
    the one of inference among them: chance as a latent variable, where Q is no product over positions.
    """
    rng = random.Random(1)
    wanted = [Targets.of(distribution, rng) for distribution in distributions]
    own = _log_likelihoods(model, objective, sources, wanted, numbers)
    values = _compared(wanted, own)
    canvas = getattr(model, "fill", None)
    if isinstance(canvas, CodedCanvas) and canvas.draws:
        others = [_log_likelihoods(model, objective, sources, wanted, numbers) for _ in canvas.redrawn(DRAWS - 1)]
        mixed = [torch.stack(of).logsumexp(0) - log(DRAWS) for of in zip(own, *others, strict=True)]
        if found := _compared(wanted, mixed).get("kl"):
            values["kl_redrawn"] = found
    return values


def _compared(wanted: Sequence["Targets"], log_q: Sequence[Tensor]) -> dict[str, dict]:
    """The values of `divergence`, of each source's targets and their log Q [K]."""
    held, allowed, bits, errors = [], [], [], []
    for of, found in zip(wanted, log_q, strict=True):
        possible = found.isfinite()
        held.append(100 * float(of.weights[possible].sum()) if not possible.all() else 100.0)
        ratios = (of.log_p - found) / log(2)
        bits.append(float(of.weights @ ratios))
        errors.append(float(ratios.var()) / len(ratios) if of.drawn else 0.0)
        if not of.drawn:
            allowed.append(100 * float(found.exp().sum()))
    values = {"held": _mean(held, "%")}
    if min(held) == 100:
        drawn = {"signature": f"draws:{TARGETS}", "standard_error": sqrt(sum(errors)) / len(errors)}
        values["kl"] = _mean(bits, "bits/sentence") | (drawn if any(errors) else {"signature": "exact"})
    if allowed:
        values["mass_allowed"] = _mean(allowed, "%")
    return values


@dataclass
class Targets:
    """The K targets of one source whose Q is wanted.

    log_p: [K], in nats; weights: [K], each's probability, or of drawn ones 1 / K; both float64.
    """

    targets: list[Tokens]
    log_p: Tensor
    weights: Tensor
    drawn: bool

    @classmethod
    def of(cls, distribution: Distribution, rng: random.Random) -> "Targets":
        drawn = distribution.size > TARGETS
        if drawn:
            targets = [distribution.draw(rng) for _ in range(TARGETS)]
            probabilities = [distribution.probability(target) for target in targets]
        else:
            targets, probabilities = zip(*distribution.enumerated(), strict=True)
        p = torch.tensor(probabilities, dtype=torch.double)
        return cls(list(targets), p.log(), torch.full_like(p, 1 / TARGETS) if drawn else p, drawn)


def _log_likelihoods(
    model: Seq2Seq,
    objective: Likelihood | None,
    sources: Sequence[Tensor],
    wanted: Sequence[Targets],
    numbers: Mapping[str, int],
) -> list[Tensor]:
    """log Q of each source's targets, each [K], in nats; -inf of those with a word that the model does not know."""
    pad = model.config.pad
    found = [torch.full((len(of.targets),), -torch.inf, dtype=torch.double) for of in wanted]
    for batch in _batches(wanted):
        known = [
            (row, number, place, torch.tensor([numbers[word] for word in target]))
            for row, number in enumerate(batch)
            for place, target in enumerate(wanted[number].targets)
            if all(word in numbers for word in target)
        ]
        if known:
            rows, *places, targets = zip(*known, strict=True)
            source = pad_right([sources[number].long() for number in batch], pad).to(model.device)
            padded, rows = pad_right(list(targets), pad).to(model.device), torch.tensor(rows, device=model.device)
            for number, place, value in zip(
                *places, log_likelihood(model, objective, source, padded, rows).tolist(), strict=True
            ):
                found[number][place] = value
    return found


def _batches(wanted: Sequence[Targets]) -> Iterator[list[int]]:
    """Numbers of sources, those with the longest targets first, with `BATCH` targets at most, or of one source."""
    batch: list[int] = []
    for number in sorted(range(len(wanted)), key=lambda n: -max(map(len, wanted[n].targets))):
        if batch and sum(len(wanted[n].targets) for n in [*batch, number]) > BATCH:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _mean(each: list[float], unit: str) -> dict:
    return {"value": sum(each) / len(each), "unit": unit, "sentences": len(each), "by_sentence": each}
