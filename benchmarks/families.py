"""The best that any member of a family could do on sentences of a generated corpus: its least KL(P‖Q), in bits.

    python -m benchmarks.families --dataset config/datasets/grammar_ende.yaml --sentences 26 3

Of a model that predicts a length and then each token on its own it is exact: the conditional total correlation of a
sentence. For the others what a member can choose for one sentence (each position's distribution over words, with
transitions between vertices or a distribution of lengths) is fitted to P by EM from several random starts, no network
in between: what is found is reached by a member, and by all larger ones, so that the least is at most that. Of a graph
``vertices`` is a number with which it is 0. Prints JSON.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.corpus import dataset, grammar
from natlab.corpus.exact import Distribution, Information
from natlab.kernels import dag_loss, use
from natlab.losses.objectives.ctc import alignments
from natlab.losses.objectives.dag import framed
from natlab.models.transformer import Config

STARTS, STEPS = 40, 200  # of EM
FLOOR = 1e-12  # of expected counts
FIRST = Config.eos + 1  # of the words' numbers


class Family:
    """K targets of a sentence, as numbers, and what Q members of a family give them.

    tokens: [K, T], padded; lengths: [K]; words: how many there are, the special symbols among them.
    """

    def __init__(self, targets: Sequence[Sequence[str]]):
        numbers = {word: number for number, word in enumerate(sorted({w for t in targets for w in t}), FIRST)}
        rows = [torch.tensor([numbers[word] for word in target]) for target in targets]
        self.tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=Config.pad)
        self.lengths = self.tokens.ne(Config.pad).sum(1)
        self.words = FIRST + len(numbers)

    def _of(self, log_probs: Tensor, tokens: Tensor) -> Tensor:
        """[K, T, L] of tokens [K, T] at positions [L, V]."""
        return log_probs.T[tokens]

    def ctc(self, positions: int) -> dict[str, Tensor]:
        return {"words": torch.randn(positions, self.words)}

    def ctc_log_q(self, words: Tensor) -> Tensor:
        tokens = F.pad(self.tokens, (1, 0), value=Config.bos)
        match = self._of(words, tokens)
        canvas = torch.full_like(self.lengths, len(words))
        return -alignments(match, self.tokens, canvas, self.lengths)

    def graph(self, positions: int) -> dict[str, Tensor]:
        return {"words": torch.randn(positions, self.words), "links": torch.randn(positions, positions)}

    def graph_log_q(self, words: Tensor, links: Tensor) -> Tensor:
        transitions = links.expand(len(self.tokens), -1, -1)
        said, lengths = framed(self.tokens)
        canvas = torch.full_like(lengths, len(words))
        return dag_loss(self._of(words, said), transitions, canvas, lengths)

    def blanks(self, more: int) -> dict[str, Tensor]:
        longest = int(self.lengths.max()) + more
        return {"words": torch.randn(longest + 1, longest, self.words), "length": torch.randn(longest + 1)}

    def blanks_log_q(self, words: Tensor, length: Tensor) -> Tensor:
        """On a canvas of each length, from none to the longest; in probabilities, whose gradients need no care."""
        total = torch.zeros(len(self.tokens), dtype=words.dtype)
        for canvas, (p, of_canvas) in enumerate(zip(length.exp(), words.exp(), strict=True)):
            of_tokens = of_canvas.T[self.tokens]  # [K, T, L]
            reached = F.one_hot(torch.zeros_like(self.lengths), self.tokens.shape[1] + 1).to(words.dtype)
            for at in range(canvas):
                placed = F.pad(reached[:, :-1] * of_tokens[:, :, at], (1, 0))
                reached = reached * of_canvas[at, Config.bos] + placed
            total = total + p * reached.gather(1, self.lengths[:, None])[:, 0]
        return total.log()


def least(p: Tensor, start: Callable[[], Mapping[str, Tensor]], log_q: Callable[..., Tensor]) -> float:
    """The least KL(P‖Q) in bits that EM finds, P being [K].

    Q is a mixture of products of what the parameters say, log-probabilities [..., N] each: how often a choice is
    expected to be taken is the gradient of the log-likelihood with respect to its log-probability.
    """
    found = []
    for seed in range(STARTS):
        torch.manual_seed(seed)
        parameters = {name: value.double().log_softmax(-1) for name, value in start().items()}
        for _ in range(STEPS):
            for value in parameters.values():
                value.requires_grad_()
            likelihood = p @ log_q(**parameters)
            counts = torch.autograd.grad(likelihood, list(parameters.values()))
            parameters = {
                name: (count.clamp(min=0) + FLOOR).log().log_softmax(-1)
                for name, count in zip(parameters, counts, strict=True)
            }
        found.append(float(p @ p.log() - likelihood.detach()) / log(2))
    return min(found)


def vertices(distribution: Mapping[tuple[str, ...], float]) -> int:
    """Of a graph that says exactly P, bos and eos among them: one for each word and what can follow it there, with
    which probability."""
    found, new = set(), [distribution]
    while new:
        following: dict[str, dict[tuple[str, ...], float]] = {}
        for target, p in new.pop().items():
            if target:
                following.setdefault(target[0], {})[target[1:]] = p
        for word, rests in following.items():
            rests = {rest: round(p / sum(rests.values()), 9) for rest, p in rests.items()}
            vertex = word, frozenset(rests.items())
            if vertex not in found:
                found.add(vertex)
                new.append(rests)
    return len(found) + 2


def bounds(distribution: Distribution, source_tokens: int) -> dict[str, float]:
    """By family; canvases of CTC and graphs are as long as ``source_tokens``, eos among them, times a factor."""
    targets, probabilities = zip(*distribution.enumerated(), strict=True)
    p, family = torch.tensor(probabilities, dtype=torch.double), Family(targets)
    of = Information.of(distribution)
    made = {
        "targets": len(targets),
        "H(P)": of.entropy,
        "vertices": vertices(dict(zip(targets, probabilities, strict=True))),
        "a token a position": of.length_entropy + of.marginal_entropy - of.entropy,
    }
    for blanks in (1, 2):
        canvases = partial(family.blanks, blanks)
        made[f"a token or ε, {blanks} more positions"] = least(p, canvases, family.blanks_log_q)
    for factor in (2, 3):
        made[f"CTC, factor {factor}"] = least(p, partial(family.ctc, factor * source_tokens), family.ctc_log_q)
    for factor in (1.5, 2, 2.5):
        size = int(factor * source_tokens + 0.5)
        enough = size >= made["vertices"]
        made[f"graph, factor {factor}"] = 0.0 if enough else least(p, partial(family.graph, size), family.graph_log_q)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="config/datasets/grammar_ende.yaml")
    parser.add_argument("--sentences", type=int, nargs="+", default=[26, 3], help="numbers, from 0, of its test split")
    args = parser.parse_args()
    torch.set_num_threads(1)
    source = dataset.load(args.dataset)["source"]
    recipe = grammar.Recipe(**{key: value for key, value in source.items() if key != "kind"} | {"pairs": 0})
    sources, distributions = recipe.sources()["test"], grammar.distributions(source, "test")
    # how long a graph each sentence needs, in tokens of its source, at most
    factors = [
        vertices(dict(d.enumerated())) / (len(s.tokens) + 1) for s, d in zip(sources, distributions, strict=True)
    ]
    within = {factor: sum(needed <= factor for needed in factors) / len(factors) for factor in (2, 3, 4, 6, 8)}
    print(json.dumps({"sentences": len(factors), "said exactly by a graph of factor": within}))
    with use("reference"):
        for number in args.sentences:
            words = sources[number].tokens
            made = bounds(distributions[number], len(words) + 1)
            print(json.dumps({"source": " ".join(words)} | {key: round(value, 3) for key, value in made.items()}))


if __name__ == "__main__":
    main()
