"""How far proxy targets T are from what people would say: S(Y, T) of MPLE's L_target (equations 13 and 14).

S is smoothed sentence BLEU on words, 0 to 100 (`natlab.kernels.sentence_bleu`). The paper says no more than "sentence
BLEU"; with words and this smoothing the raw targets of WMT14 En-De have -0.2 S = -6.50 against the ten references of
Ott et al. (2018), where its Table 2 prints -6.42.
"""

import random
from collections.abc import Sequence

import numpy as np

from natlab.corpus.exact import Distribution

DRAWS = 32  # of the targets of a sentence that has too many to list
BATCH = 1_000  # pairs that are padded at once
SIGNATURE = "sentence|eff:yes|tok:none|smooth:exp"  # as sacreBLEU would sign it
Tokens = Sequence[int]


def target_bleu(targets: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> np.ndarray:
    """The mean of S(Y, T) over the references Y of each target T: [N], NaN where a target has no reference.

    targets: N sentences of integers; references: columns of N sentences, one without tokens where there is none.
    """
    rows = [(n, k) for n in range(len(targets)) for k, column in enumerate(references) if len(column[n])]
    scores = sentence_scores([targets[n] for n, _ in rows], [references[k][n] for n, k in rows])
    of = np.array([n for n, _ in rows], dtype=np.int64)
    counts = np.bincount(of, minlength=len(targets))
    sums = np.bincount(of, scores, minlength=len(targets))
    return np.divide(sums, counts, out=np.full(len(targets), np.nan), where=counts > 0)


def exact(targets: Sequence[Sequence[str]], distributions: Sequence[Distribution]) -> tuple[float, str]:
    """The mean over sentences of Σ_Y P(Y|X) S(Y, T), of targets T in words and P(Y|X) for each, and its signature.

    The sum is over all Y where they are enumerated; else over `DRAWS` that are drawn, which the signature says.
    """
    numbers: dict[str, int] = {}
    hypotheses, references, weights = [], [], []
    rng = random.Random(1)
    signature = SIGNATURE
    for target, distribution in zip(targets, distributions, strict=True):
        if len(distribution.factors) == 1:
            (possible,) = distribution.factors
        else:
            possible = [(distribution.draw(rng), 1 / DRAWS) for _ in range(DRAWS)]
            signature = f"{SIGNATURE}|draws:{DRAWS}"
        sentences, probabilities = zip(*possible, strict=True)
        own, *others = ([numbers.setdefault(word, len(numbers)) for word in words] for words in (target, *sentences))
        hypotheses += [own] * len(others)
        references += others
        weights += probabilities
    return float(np.dot(weights, sentence_scores(hypotheses, references))) / len(targets), signature


def sentence_scores(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> np.ndarray:
    """S of each hypothesis against its reference, [P]. In plain torch: they are few, so no kernels need be built."""
    import torch

    from natlab.kernels.sentence_bleu import sentence_bleu_reference

    made = [np.zeros(0)]
    for start in range(0, len(hypotheses), BATCH):
        sides = []
        for sentences in (hypotheses, references):
            part = [torch.as_tensor(sentence, dtype=torch.int64) for sentence in sentences[start : start + BATCH]]
            sides.append(torch.nn.utils.rnn.pad_sequence(part, batch_first=True))
            sides.append(torch.tensor([len(sentence) for sentence in part]))
        pairs = torch.arange(len(sides[1]))[:, None].expand(-1, 2)
        made.append(sentence_bleu_reference(*sides, pairs).numpy())
    return np.concatenate(made)
