"""From a model and source sentences to tokens."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from natlab import families
from natlab.models.transformer import Seq2Seq


class Hypothesis(NamedTuple):
    """A target [T] without eos, and its score: the higher, the better."""

    tokens: Tensor
    score: float


def distinct(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """Each target once, in order: the best one's score where the best come first."""
    found: dict[tuple[int, ...], Hypothesis] = {}
    for hypothesis in hypotheses:
        found.setdefault(tuple(hypothesis.tokens.tolist()), hypothesis)
    return list(found.values())


def batches(lengths: list[int], max_tokens: int, max_sentences: int | None = None) -> Iterator[list[int]]:
    """Indices of sentences grouped by length, longest first, so that a batch padded to its longest holds at most
    ``max_tokens`` (one sentence may be longer) and at most ``max_sentences``."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        width = lengths[batch[0]] if batch else lengths[index]
        if batch and (width * (len(batch) + 1) > max_tokens or len(batch) == max_sentences):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def pad_right(sentences: list[Tensor], pad: int) -> Tensor:
    """Sentences of different length as one [B, L] tensor, padded on the right."""
    return torch.nn.utils.rnn.pad_sequence(sentences, batch_first=True, padding_value=pad)


def decode(
    model: Seq2Seq,
    source: Tensor,
    decoding: Mapping,
    auxiliary: Mapping[str, Seq2Seq] | None = None,
    reference_lengths: Tensor | None = None,
) -> list[Tensor]:
    """The best target, without eos, of each source sentence [B, S] under a decoding: its ``kind``, a member of the
    family `decoding`, and its options. ``auxiliary``: by system, the models that it takes, too;
    ``reference_lengths``: [B], for one that asks for them."""
    kind, given = _kind(decoding, auxiliary)
    if decoding.get("reference_length"):
        given["reference_lengths"] = reference_lengths
    return kind(model, source, **given)


def _kind(decoding: Mapping, auxiliary: Mapping[str, Seq2Seq] | None) -> tuple[Any, dict[str, Any]]:
    """A decoding's member with its options, and the models that it takes besides."""
    options = {key: value for key, value in decoding.items() if key != "kind"}
    named = families.trait("decoding", decoding["kind"], "models", ())
    given = {key: auxiliary[options[key]] for key in named if options.get(key) is not None}
    return families.load("decoding", decoding["kind"], **options), given


@torch.inference_mode()
def decode_corpus(
    model: Seq2Seq,
    sources: Sequence[Tensor],
    decoding: Mapping,
    max_tokens: int = 6000,
    max_sentences: int | None = None,
    auxiliary: Mapping[str, Seq2Seq] | None = None,
    references: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    """Targets of all ``sources`` (each [S], ending in eos), in their order, decoded in batches of similar length.
    ``references``: their targets, likewise, whose lengths a decoding may ask for."""
    targets: list[Tensor] = [None] * len(sources)
    for batch, padded in _padded(model, sources, max_tokens, max_sentences):
        lengths = None if references is None else torch.tensor([len(references[i]) - 1 for i in batch])
        lengths = None if lengths is None else lengths.clamp(min=1).to(model.device)
        for index, target in zip(batch, decode(model, padded, decoding, auxiliary, lengths), strict=True):
            targets[index] = target.cpu()
    return targets


@torch.inference_mode()
def hypotheses_of_corpus(
    model: Seq2Seq,
    sources: Sequence[Tensor],
    decoding: Mapping,
    max_tokens: int = 6000,
    max_sentences: int | None = None,
    auxiliary: Mapping[str, Seq2Seq] | None = None,
) -> list[list[Hypothesis]]:
    """All that a decoding finds for each of ``sources``, each once, the best first, which is what `decode_corpus`
    returns. Its kind has the trait ``n_best`` and the method ``hypotheses``, which takes what a call takes."""
    found: list[list[Hypothesis]] = [[]] * len(sources)
    kind, given = _kind(decoding, auxiliary)
    for batch, padded in _padded(model, sources, max_tokens, max_sentences):
        for index, of_sentence in zip(batch, kind.hypotheses(model, padded, **given), strict=True):
            found[index] = [Hypothesis(tokens.cpu(), float(score)) for tokens, score in of_sentence]
    return found


def _padded(
    model: Seq2Seq, sources: Sequence[Tensor], max_tokens: int, max_sentences: int | None
) -> Iterator[tuple[list[int], Tensor]]:
    """(indices, sources [B, S] on the model's device) of `batches`."""
    for batch in batches([len(source) for source in sources], max_tokens, max_sentences):
        yield batch, pad_right([sources[i] for i in batch], model.config.pad).to(model.device)
