"""What a model costs: losses on a validation set in bits per target token (base 2; eos is not counted as a token),
how sure it is of what it decodes, its proxy targets, its parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.decoding import batches, pad_right
from natlab.decoding.kinds import sample
from natlab.decoding.retrieval import retrieval
from natlab.losses.batch import NLL, Method, Proxied, batch_loss, proxied, references_of
from natlab.losses.interface import BITS, DISTANCE, SHARE, Value
from natlab.models import architectures
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import TwoSided
from natlab.proxy.interface import Prediction

# the fields of `natlab.proxy.interface.References` beside its tokens, of sentences by number
Candidates = Callable[[Sequence[int]], dict[str, Tensor]]


@torch.inference_mode()
def losses(
    model: TwoSided,
    sources: Sequence[Tensor],
    targets: Sequence[Tensor],
    method: Method | None,
    max_tokens: int = 6000,
    candidates: Candidates | None = None,
    predictor: NonAutoregressiveTransformer | None = None,
) -> dict[str, dict]:
    """What targets cost given sources, both [L] ending in eos, without label smoothing or dropout, as `per_token` has
    it.

    ``loss``: the objective's, of cross entropy the negative log-likelihood of the tokens; an autoregressive model's
    includes the bits of eos, which say the length. ``length``: of a
    NAT's length prediction. A NAT's loss is given the true length, so its ``loss`` + ``length`` compares with an
    autoregressive ``loss``: the difference on raw data is the V-entropy estimate of the conditional total correlation C
    (MPLE, appendix B), which with the length as a variable is sum_i H(y_i | X, M) + H(M | X) - H(Y | X). With a proxy
    input, tokens it reveals cost nothing and are counted (MPLE, appendix E.6), at the end of its annealing;
    ``token_loss`` is the same sum per token that is not revealed. All other values of the objective and of terms come
    under their own names. ``l_input``, with a ``predictor``: what predicting that input costs, L_input of equation 11,
    with one Z drawn for each sentence. ``candidates`` are dynamic KD's.
    """
    found: dict[str, list[Tensor]] = {}  # sums, counts
    units: dict[str, str] = {}

    def add(name: str, batch: list[int], value: Value) -> None:
        sums, counts = found.setdefault(
            name, [torch.zeros(len(sources), dtype=kind) for kind in (torch.double, torch.long)]
        )
        sums[batch], counts[batch] = value.sums.cpu().double(), value.counts.cpu()
        units[name] = value.unit

    for batch, source, target in _batches(model, sources, targets, max_tokens):
        of_batch = candidates and _on(model.device, candidates(batch))
        part = batch_loss(model, source, target, method, progress=1.0, candidates=of_batch)
        add("loss", batch, part.values.pop(NLL))
        for name, value in part.values.items():
            add(name, batch, value)
        if predictor is not None:
            divergence = input_divergence(model, predictor, source, method, part.proxied)
            add("l_input", batch, Value(divergence, part.tokens))
        if method is not None:
            add("token_loss", batch, Value(found["loss"][0][batch], part.predicted))
    of_unit = {BITS: per_token, SHARE: share, DISTANCE: mean_distance}
    made = {name: of_unit[units[name]](*value) for name, value in found.items()}
    return {name: {**value, "sentences": len(sources)} for name, value in made.items()}


def share(counted: Tensor, of: Tensor) -> dict:
    """A share in per cent, of sentences' counts [N] of so many [N]; ``by_sentence``: each one's [100 counts, so many],
    which can be resampled."""
    pairs = [[100 * value, number] for value, number in zip(counted.tolist(), of.tolist(), strict=True)]
    return {"value": 100 * float(counted.sum()) / max(1, int(of.sum())), "unit": "%", "by_sentence": pairs}


def mean_distance(sums: Tensor, counts: Tensor) -> dict:
    """A squared distance, of sentences' sums [N] over positions [N]; ``by_sentence``: each one's [sum, positions],
    which can be resampled."""
    pairs = [[round(value, 6), number] for value, number in zip(sums.tolist(), counts.tolist(), strict=True)]
    return {"value": float(sums.sum()) / max(1, int(counts.sum())), "unit": "squared distance", "by_sentence": pairs}


def per_token(nats: Tensor, tokens: Tensor) -> dict:
    """A value in bits a token, of sentences' nats [N] and tokens [N]; ``by_sentence``: each one's [bits, tokens], which
    can be resampled."""
    bits, count = nats / log(2), int(tokens.sum())
    by_sentence = [[round(value, 4), number] for value, number in zip(bits.tolist(), tokens.tolist(), strict=True)]
    return {"value": float(bits.sum()) / count, "unit": "bits/token", "tokens": count, "by_sentence": by_sentence}


def input_divergence(
    model: NonAutoregressiveTransformer,
    predictor: NonAutoregressiveTransformer,
    source: Tensor,
    method: Method,
    made: Proxied,
) -> Tensor:
    """log Q(Z|T,X) - log P(Z|X) [B], in nats, of the proxy input drawn for source [B, S]: its mean over draws is the KL
    divergence L_input (MPLE, equation 11 and appendix E.6), T being certain given X.

    P(z_i|X) is the masking head's of ``model``, times, where z_i is not masked, the ``predictor``'s of its token.
    """
    masked = model.masked_logits(made.prediction.of(made.target).states)
    encoded = predictor.encoder(source)
    theirs = Prediction(
        predictor, encoded, encoded.memories(predictor.layers), made.prediction.progress, method.objective
    )
    theirs = theirs.of(made.target)
    shown = F.logsigmoid(-masked) + theirs.log_probs(made.target)
    of_input = torch.where(made.revealed, shown, F.logsigmoid(masked)) * theirs.inside
    return method.input.log_probability(made.revealed, made.target, made.prediction) - of_input.sum(1)


@torch.inference_mode()
def proxy_targets(
    model: NonAutoregressiveTransformer,
    sources: Sequence[Tensor],
    targets: Sequence[Tensor],
    method: Method,
    max_tokens: int = 6000,
    candidates: Candidates | None = None,
) -> list[Tensor]:
    """T of each pair of a source and a target [L], both ending in eos: without eos and without ε."""
    made: list[Tensor] = [None] * len(sources)
    for batch, source, target in _batches(model, sources, targets, max_tokens):
        references = references_of(model, target, _on(model.device, candidates(batch)) if candidates else {})
        of_batch = proxied(model, source, references, method, progress=1.0)
        for row, index in enumerate(batch):
            tokens = of_batch.target[row, : of_batch.lengths[row]].cpu()
            made[index] = tokens[tokens.ne(model.config.bos)]
    return made


@torch.inference_mode()
def confidence(
    model: NonAutoregressiveTransformer,
    sources: Sequence[Tensor],
    decoding: Mapping,
    predictor: NonAutoregressiveTransformer,
    max_tokens: int = 6000,
) -> dict:
    """Decoding confidence I (MPLE, Figure 7): (log2 P(Z|X) + log2 P(T|Z,X)) / L, over all that is decoded from
    ``sources``, each [S] ending in eos, by Default Decoding (kind argmax) or Input Sampling (kind sample)."""
    nats, tokens = (torch.zeros(len(sources), dtype=kind) for kind in (torch.double, torch.long))
    options = {"length_factor": decoding["length_factor"], "seed": decoding.get("seed")}
    for batch in batches([len(source) for source in sources], max_tokens):
        source = pad_right([sources[i].long() for i in batch], model.config.pad).to(model.device)
        made = sample.draw(model, source, predictor, **options)
        nats[batch], tokens[batch] = made.log_probability.cpu().double(), made.lengths.cpu()
    return per_token(nats, tokens)


@torch.inference_mode()
def of_codes(
    model: TwoSided, sources: Sequence[Tensor], targets: Sequence[Tensor], max_tokens: int = 6000
) -> dict[str, dict]:
    """Of a model with a codebook ``code_perplexity``, 2 to the entropy, in bits, of how often each code is taken: of an
    encoder of both sides for the words of ``sources``, of a NAT on their canvases. Of an encoder of both sides also
    what `natlab.decoding.retrieval` finds, in per cent of the sources. All sentences are [L] and end in eos."""
    found = {}
    if "both sides" in architectures.ARCHITECTURES[model.name].offers:
        hits = retrieval(model, sources, targets, max_tokens)
        found = {
            name: {**share(of, torch.ones_like(of, dtype=torch.long)), "sentences": len(of)}
            for name, of in hits.items()
        }
    if getattr(model, "codebook", None) is not None:
        counts = torch.zeros(len(model.codebook.vectors), dtype=torch.double)
        for batch in batches([len(source) for source in sources], max_tokens):
            source = pad_right([sources[i].long() for i in batch], model.config.pad).to(model.device)
            counts += torch.bincount(model.coded(source), minlength=len(counts)).cpu()
        perplexity = float(torch.special.entr(counts / counts.sum()).sum().exp())
        found["code_perplexity"] = {"value": perplexity, "unit": "codes", "sentences": len(sources)}
    return found


def parameters(model: TwoSided) -> dict[str, dict]:
    """The number of a model's trained parameters, with embeddings, which the output layer shares, and without."""
    everything = sum(parameter.numel() for parameter in model.parameters())
    embeddings = {id(table.weight): table.weight.numel() for table in (model.encoder.embedding, model.embedding)}
    without = everything - sum(embeddings.values())
    counts = {"parameters": everything, "parameters_without_embeddings": without}
    return {name: {"value": count, "unit": "parameters"} for name, count in counts.items()}


def _batches(
    model: TwoSided, sources: Sequence[Tensor], targets: Sequence[Tensor], max_tokens: int
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """(numbers, sources [B, S], targets [B, T]) of pairs of similar length, on the model's device."""
    for batch in batches([max(len(s), len(t)) for s, t in zip(sources, targets, strict=True)], max_tokens):
        sides = (pad_right([side[i].long() for i in batch], model.config.pad) for side in (sources, targets))
        yield batch, *(side.to(model.device) for side in sides)


def _on(device: torch.device, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in tensors.items()}
