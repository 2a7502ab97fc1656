"""sentence_bleu against sacreBLEU, one sentence at a time, on the same tokens."""

from collections.abc import Iterator

import torch
from sacrebleu.metrics import BLEU

from benchmarks.kernel_ops import Case
from natlab.kernels import sentence_bleu

PAIRS, LEAST, MOST, VOCABULARY = 1024, 15, 35, 40


def cases(device: str) -> Iterator[Case]:
    tokens = torch.randint(VOCABULARY, (2, PAIRS, MOST))
    lengths = torch.randint(LEAST, MOST + 1, (2, PAIRS))
    hypotheses, references = (
        [" ".join(map(str, row[:length])) for row, length in zip(rows.tolist(), lengths_of.tolist(), strict=True)]
        for rows, lengths_of in zip(tokens, lengths, strict=True)
    )
    metric = BLEU(tokenize="none", smooth_method="exp", effective_order=True)
    tokens, lengths = tokens.to(device), lengths.to(device)
    pairs = torch.arange(PAIRS, device=device)[:, None].expand(PAIRS, 2).contiguous()
    yield Case(
        "sentence_bleu",
        f"{PAIRS} pairs of {LEAST} to {MOST} tokens",
        lambda: sentence_bleu(tokens[0], lengths[0], tokens[1], lengths[1], pairs),
        {
            "sacrebleu": lambda: [
                metric.sentence_score(hypothesis, [reference]).score
                for hypothesis, reference in zip(hypotheses, references, strict=True)
            ]
        },
        tokens.nbytes + lengths.nbytes + pairs.nbytes + 8 * PAIRS,
    )
    within = tokens[0, :128], lengths[0, :128]
    yield Case("sentence_bleu", "128 x 128 pairs", lambda: sentence_bleu(*within, *within))
