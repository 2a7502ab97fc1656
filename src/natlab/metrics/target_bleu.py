"""How far proxy targets T are from what people would say: S(Y, T) of MPLE's L_target (equations 13 and 14).

S is smoothed sentence BLEU on words, 0 to 100 (`natlab.kernels.sentence_bleu`). The paper says no more than "sentence
BLEU"; with words and this smoothing the raw targets of WMT14 En-De have -0.2 S = -6.50 against the ten references of
Ott et al. (2018), where its Table 2 prints -6.42.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from natlab.corpus.exact import Distribution

DRAWS = 32  # of the targets of a sentence that has too many to list
ORDERS = 4
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


class Expected:
    """The expectation of S(Y, T) under P(Y|X), for one translation or target T after another of the same sources.

    It is a sum over all Y where they are enumerated; else over `DRAWS` that are drawn, which ``signature`` says.
    """

    def __init__(self, distributions: Sequence[Distribution]):
        self.signature, self._sources = SIGNATURE, []
        rng = random.Random(1)
        for distribution in distributions:
            if len(distribution.factors) == 1:
                (possible,) = distribution.factors
            else:
                possible = [(distribution.draw(rng), 1 / DRAWS) for _ in range(DRAWS)]
                self.signature = f"{SIGNATURE}|draws:{DRAWS}"
            sentences, probabilities = zip(*possible, strict=True)
            self._sources.append(_References.of(sentences, probabilities))
        self.ceiling = float(self([distribution.most_probable() for distribution in distributions]).mean())

    def __call__(self, targets: Sequence[Sequence[str]]) -> np.ndarray:
        """Σ_Y P(Y|X) S(Y, T) [N] of targets T in words."""
        import torch

        from natlab.kernels.sentence_bleu import from_matches

        pairs = list(zip(targets, self._sources, strict=True))
        sizes = [len(source.lengths) for source in self._sources]
        matches = torch.from_numpy(np.concatenate([source.matches(target) for target, source in pairs]))
        hypothesis_lengths = torch.from_numpy(np.repeat([len(target) for target in targets], sizes))
        reference_lengths = torch.from_numpy(np.concatenate([source.lengths for source in self._sources]))
        scores = from_matches(matches, hypothesis_lengths, reference_lengths).numpy()
        weights = np.concatenate([source.weights for source in self._sources])
        return np.bincount(np.repeat(np.arange(len(sizes)), sizes), weights * scores)


@dataclass
class _References:
    """References Y of one source: how often each, a row, has each n-gram that any of them has, a column.

    numbers: {word: its number, from 1}; grams: [C], the n-grams, sorted, as `_grams` writes them, and 0 first; counts:
    [Y, C]; lengths: [Y]; weights: [Y], their probabilities.
    """

    numbers: dict[str, int]
    grams: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, sentences: Sequence[Sequence[str]], weights: Sequence[float]) -> "_References":
        numbers: dict[str, int] = {}
        numbered = [[numbers.setdefault(word, len(numbers) + 1) for word in words] for words in sentences]
        lengths = np.array([len(words) for words in sentences])
        padded = np.zeros((len(sentences), lengths.max()), dtype=np.int64)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = [number for words in numbered for number in words]
        grams, columns = np.unique(_grams(padded, len(numbers)), return_inverse=True)
        rows = np.repeat(np.arange(len(sentences)) * len(grams), columns.size // len(sentences))
        counts = np.bincount(rows + columns.flatten(), minlength=len(sentences) * len(grams))
        return cls(numbers, grams, counts.reshape(len(sentences), -1), lengths, np.array(weights))

    def matches(self, target: Sequence[str]) -> np.ndarray:
        """How many n-grams of a target, n = 1 to 4, each reference has, too [Y, 4]; clipped."""
        numbered = np.array([[self.numbers.get(word, 0) for word in target]], dtype=np.int64)
        found = []
        for of_order in _grams(numbered, len(self.numbers))[0]:
            grams, counts = np.unique(of_order, return_counts=True)
            column = self.grams.searchsorted(grams).clip(max=len(self.grams) - 1)
            known = (grams > 0) & (self.grams[column] == grams)
            found.append(np.minimum(self.counts[:, column[known]], counts[known]).sum(1))
        return np.stack(found, 1)


def _grams(words: np.ndarray, largest: int) -> np.ndarray:
    """The n-grams, n = 1 to 4, that begin at each position of sentences of numbers 1 to ``largest`` [Y, T], each as one
    number, [Y, 4, T]; 0 where they hold a 0 or would end behind it."""
    grams = np.zeros((len(words), ORDERS, words.shape[1]), dtype=np.int64)
    grams[:, 0] = words
    for order in range(1, ORDERS):
        last, first = words[:, order:], grams[:, order - 1, : max(0, words.shape[1] - order)]
        grams[:, order, : last.shape[1]] = np.where((first > 0) & (last > 0), first * (largest + 1) + last, 0)
    return grams


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
