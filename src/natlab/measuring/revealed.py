"""What a NAT says when a share of the reference is shown to it, as in training (AEQA-NAT, Qu et al. 2025, Figure 1)."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from natlab import families
from natlab.decoding import batches, pad_right
from natlab.decoding.kinds.argmax import likeliest
from natlab.losses.batch import references_of
from natlab.losses.interface import Objective
from natlab.metrics import bleu
from natlab.models import draws
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.proxy.interface import Prediction

PERCENTS = range(0, 100, 10)  # of the reference's tokens
SEED = 2  # of which are shown; another than that of canvases of codes, whose positions are drawn by the sentence, too


@torch.inference_mode()
def revealed(
    model: NonAutoregressiveTransformer,
    sources: Sequence[Tensor],
    targets: Sequence[Tensor],
    objective: Objective,
    decoding: Mapping,
    text: Callable[[Tensor], str],
    max_tokens: int = 6000,
) -> dict[str, dict]:
    """Tokenised BLEU, ``bleu/<percent>``, and the share of the other tokens that the model finds by itself,
    ``accuracy/<percent>``, with so many per cent of a reference's tokens shown, and copied into what is said. BLEU
    rises by the copies alone; accuracy tells whether the others, too, become easier.

    Sources and targets are [L], ending in eos, ``text`` makes words of tokens. A token is shown at the position where
    the ``objective`` aligns it, as to a proxy input: of cross entropy its own, on a canvas of the reference's length;
    of a graph that of the best path with nothing shown, bos and eos never. Which ones are shown is drawn evenly, by the
    sentence, those of a smaller share being among those of a larger one; their number is rounded to the nearest. A
    position is right where its likeliest token is the one aligned there. ``decoding``, of a kind that ``reads`` states,
    says what follows from these; how it chooses among lengths has no part.
    """
    kind = families.load("decoding", decoding["kind"], **{k: value for k, value in decoding.items() if k != "kind"})
    config = model.config
    said = {percent: [""] * len(sources) for percent in PERCENTS}
    counts = torch.zeros(len(PERCENTS), len(sources), 2, dtype=torch.long)  # right, of so many
    for batch in batches([max(len(s), len(t)) for s, t in zip(sources, targets, strict=True)], max_tokens):
        source, target = (
            pad_right([side[i].long() for i in batch], config.pad).to(model.device) for side in (sources, targets)
        )
        tokens = references_of(model, target, {}).tokens
        encoded = model.encoder(source)
        memories = encoded.memories(model.layers)
        canvas = model.canvas(encoded.lengths, tokens.ne(config.pad).sum(1))  # [B]
        aligned = objective.align(tokens, Prediction(model, encoded, memories, 1.0, objective))  # [B, L]
        counted = aligned.index.ge(0) & aligned.tokens.ne(config.bos) & aligned.tokens.ne(config.eos)
        order = draws.of_sentences(source, encoded.lengths, int(canvas.max()), SEED)
        for number, percent in enumerate(PERCENTS):
            shown = draws.smallest(order, counted, (percent * counted.sum(1) + 50) // 100)
            states = model.decode(encoded, canvas, shown, aligned.tokens, memories)
            known = aligned.tokens.where(shown, config.pad)
            for index, of_sentence in zip(batch, kind.read(model, states, canvas, known), strict=True):
                said[percent][index] = text(of_sentence)
            hidden = counted & ~shown
            right = likeliest(model, states)[0].eq(aligned.tokens) & hidden
            counts[number, batch] = torch.stack([right.sum(1), hidden.sum(1)], 1).cpu()
    references = [text(target[target.ne(config.eos)]) for target in targets]
    values = {}
    for percent, of_percent in zip(PERCENTS, counts.tolist(), strict=True):
        values[f"bleu/{percent}"] = bleu.tokenised_bleu(said[percent], [references])
        right, of = map(sum, zip(*of_percent, strict=True))
        by_sentence = [[100 * of_sentence, number] for of_sentence, number in of_percent]
        values[f"accuracy/{percent}"] = {"value": 100 * right / max(1, of), "unit": "%", "by_sentence": by_sentence}
    return values
