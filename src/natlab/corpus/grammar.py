"""The grammar corpus: English-German sentences of a synchronous grammar whose P(Y|X) is known and can be enumerated.

A source is a choice of English words; its targets are all its German realisations. Four kinds of modes give a source
several targets, and only the German side shows which one was taken:

- ``synonyms``: nouns of different gender (das Auto, der Wagen): article, adjective and pronouns agree;
- ``fronting``: which constituent stands before the finite verb (Der Mann kauft heute ..., Heute kauft der Mann ...);
- ``separable``: separable against simple verbs, and verbs of different case (ruft ... an, kontaktiert ...);
- ``pairs``: fixed expressions whose words belong together (ab und zu, hin und wieder; sowohl ... als auch).

A kind's strength s in [0, 1] sets the probabilities: of K alternatives the first has weight 1 and every other one
weight s, so 0 always takes the first and 1 makes them equally likely. Choices are independent of each other.

Longer sentences are several such clauses, joined by connectives that have one translation each. Given their source,
clauses are translated independently, so P(Y|X) is a product of enumerated factors, which stays exact where its targets
are too many to list.

The German of two such sentences, or of one and of another's core, makes corpora of paraphrases and of summaries
(`natlab.corpus.rewording`).
"""

import argparse
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from natlab.corpus import dataset, exact, lexicon
from natlab.corpus.exact import Distribution, Enumeration, Tokens
from natlab.corpus.lexicon import Noun
from natlab.corpus.ordering import Reordered, Translations
from natlab.corpus.rewording import Paraphrases, Summaries, Wording
from natlab.corpus.text import folder_aside
from natlab.errors import UserError
from natlab.files import write_json

MODES = ("synonyms", "fronting", "separable", "pairs")


@dataclass(frozen=True)
class Phrase:
    """A noun phrase, in English words; ``adjective`` is "" where it has none."""

    determiner: str
    adjective: str
    noun: str


@dataclass(frozen=True)
class Clause:
    """What one clause says, in English words; "" or () where a part is absent.

    ``tail`` says more of the object: ("but", A) it is too A; ("very", A) which is very A; ("both", A, B) which is both.
    """

    opening: str
    subject: Phrase
    verb: str
    object: Phrase
    manner: str
    place: str
    time: str
    tail: tuple[str, ...]

    def english(self) -> Tokens:
        """Its tokens. Their order does not depend on the German choice."""
        tokens: list[str] = []
        if self.opening:
            tokens += [*self.opening.split(), ","]
        clause = [*_english(self.subject), self.verb, *_english(self.object)]
        adverbials = f"{self.manner} {self.place} {self.time}".split()
        kind, *adjectives = self.tail or ("",)
        if kind in ("very", "both"):
            # A relative clause stands beside its noun, so the adverbials go before the clause.
            pronoun = "who" if lexicon.KINDS[self.object.noun] == "person" else "that"
            described = ["very", *adjectives] if kind == "very" else ["both", adjectives[0], "and", adjectives[1]]
            tokens += [*adverbials, *clause, pronoun, "is", *described]
        else:
            tokens += [*clause, *adverbials]
            if kind == "but":
                tokens += [",", "but", "it", "is", "too", *adjectives]
        return tuple(tokens)


@dataclass(frozen=True)
class Source:
    """What a sentence says: clauses, and between any two the English connective."""

    clauses: tuple[Clause, ...]
    connectives: tuple[str, ...] = ()

    @property
    def tokens(self) -> Tokens:
        """The tokens of the English sentence."""
        joints = ((",", connective) for connective in self.connectives)
        parts = (joint + clause.english() for joint, clause in zip([(), *joints], self.clauses, strict=True))
        return (*itertools.chain.from_iterable(parts), ".")


def core(source: Source) -> Source:
    """Who does what to whom in the first clause."""
    first = source.clauses[0]
    bare = {part: replace(getattr(first, part), adjective="") for part in ("subject", "object")}
    return Source((replace(first, **bare, opening="", manner="", place="", time="", tail=()),))


def _english(phrase: Phrase) -> list[str]:
    words = [word for word in (phrase.adjective, phrase.noun) if word]
    article = "an" if phrase.determiner == "a" and words[0][0] in "aeiou" else phrase.determiner
    return [article, *words]


def choices(clause: Clause) -> dict[str, tuple[str, Sequence[Any]]]:
    """The choices a translator of ``clause`` has: {what: (kind of mode, alternatives, the usual one first)}."""
    slots = {
        "subject": ("synonyms", lexicon.NOUNS[clause.subject.noun]),
        "verb": ("separable", lexicon.VERBS[clause.verb]),
        "object": ("synonyms", lexicon.NOUNS[clause.object.noun]),
    }
    fronts = ["subject"]
    if clause.opening:
        slots["opening"] = ("pairs", lexicon.OPENINGS[clause.opening])
    if clause.time:
        slots["time"] = ("pairs", lexicon.TIMES[clause.time])
        fronts.append("time")
    if clause.manner:
        slots["manner"] = ("pairs", lexicon.MANNERS[clause.manner])
        fronts.append("manner")
    if clause.place:
        slots["place"] = ("synonyms", lexicon.PLACES[clause.place])
        fronts.append("place")
    if clause.tail[:1] == ("both",):
        slots["tail"] = ("pairs", lexicon.BOTH)
    elif clause.object.determiner != "a" and lexicon.KINDS[clause.object.noun] != "person" and not clause.tail:
        # A definite thing: a person could be taken for the subject, and what follows must stay near its object.
        fronts.append("object")
    return slots | {"front": ("fronting", fronts)}


def realise(clause: Clause, chosen: Mapping[str, Any]) -> Tokens:
    """The German tokens for one choice of alternatives, ``{what: alternative}`` as `choices` lists them."""
    verb, noun = chosen["verb"], chosen["object"]
    middle = {
        "subject": _german(clause.subject, chosen["subject"], "nom"),
        "time": chosen.get("time", ()),
        "manner": chosen.get("manner", ()),
        "place": chosen.get("place", ()),
        "object": _german(clause.object, noun, verb.case),
    }
    front = middle.pop(chosen["front"])
    opening = (*chosen["opening"], ",") if clause.opening else ()
    particle = (verb.particle,) if verb.particle else ()
    return (
        *opening,
        *front,
        verb.finite,
        *itertools.chain.from_iterable(middle.values()),
        *particle,
        *_german_tail(clause.tail, noun, chosen.get("tail", ())),
    )


def _german(phrase: Phrase, noun: Noun, case: str) -> Tokens:
    tokens = [lexicon.determiner(phrase.determiner, noun.gender, case)]
    if phrase.adjective:
        adjective = lexicon.ADJECTIVES[phrase.adjective]
        tokens.append(lexicon.inflected(adjective, phrase.determiner, noun.gender, case))
    return (*tokens, noun.word if case == "nom" else noun.oblique)


def _german_tail(tail: tuple[str, ...], noun: Noun, both: Tokens) -> Tokens:
    if not tail:
        return ()
    kind, *english = tail
    adjectives = [lexicon.ADJECTIVES[word].predicative for word in english]
    if kind == "but":
        return (",", "aber", lexicon.PRONOUNS[noun.gender], "ist", "zu", *adjectives)
    described = " ".join(both).format(*adjectives).split() if kind == "both" else ["sehr", *adjectives]
    return (",", lexicon.RELATIVES[noun.gender], *described, "ist")


def sentence(tokens: Tokens) -> str:
    """Tokens as plain text: a capital at the beginning, no space before punctuation."""
    text = " ".join(tokens).replace(" ,", ",").replace(" .", ".")
    return text[0].upper() + text[1:]


def lowered(tokens: Tokens) -> Tokens:
    """The tokens in lower case, as the models see them."""
    return tuple(token.lower() for token in tokens)


class Grammar:
    """The grammar at given strengths of its modes, ``{kind: strength in [0, 1]}``; a kind not named is off."""

    def __init__(self, modes: Mapping[str, float]):
        self.strengths = {mode: modes.get(mode, 0.0) for mode in MODES}

    def _weighted(self, clause: Clause) -> dict[str, list[tuple[Any, float]]]:
        """Every choice's possible alternatives with their probabilities."""
        weighted = {}
        for what, (mode, alternatives) in choices(clause).items():
            strength = self.strengths[mode]
            total = 1 + strength * (len(alternatives) - 1)
            weights = [1 / total] + [strength / total] * (len(alternatives) - 1)
            weighted[what] = [(a, w) for a, w in zip(alternatives, weights, strict=True) if w > 0]
        return weighted

    def _translations(self, clause: Clause) -> Enumeration:
        """Every translation of a clause with its probability; these sum to 1."""
        weighted = self._weighted(clause)
        probabilities: dict[Tokens, float] = {}
        for combination in itertools.product(*weighted.values()):
            chosen = dict(zip(weighted, (alternative for alternative, _ in combination), strict=True))
            probability = 1.0
            for _, p in combination:
                probability *= p
            tokens = realise(clause, chosen)
            probabilities[tokens] = probabilities.get(tokens, 0.0) + probability
        # A product of very small strengths can underflow to 0.
        return [(tokens, p) for tokens, p in probabilities.items() if p > 0]

    def distribution(self, source: Source) -> Distribution:
        """P(Y|X), tokens in their case: a factor a clause."""
        return Distribution(
            tuple(
                [((*before, *tokens, *after), p) for tokens, p in self._translations(clause)]
                for clause, (before, after) in zip(source.clauses, _between(source), strict=True)
            )
        )

    def sample(self, source: Source, rng: random.Random) -> Tokens:
        """One target drawn from P(Y|X)."""
        target: list[str] = []
        for clause, (before, after) in zip(source.clauses, _between(source), strict=True):
            chosen = {}
            for what, weighted in self._weighted(clause).items():
                alternatives, probabilities = zip(*weighted, strict=True)
                chosen[what] = rng.choices(alternatives, probabilities)[0]
            target += [*before, *realise(clause, chosen), *after]
        return tuple(target)


def _between(source: Source) -> list[tuple[Tokens, Tokens]]:
    """The German tokens before and after each clause. No clause has a connective behind a comma, so that a target shows
    where its clauses begin."""
    before = [(), *((",", lexicon.CONNECTIVES[connective]) for connective in source.connectives)]
    return list(zip(before, [*[()] * len(source.connectives), (".",)], strict=True))


def sample_source(rng: random.Random, clauses: Sequence[int] = (1,)) -> Source:
    """One source drawn from the grammar's distribution over sources, which no mode changes.

    ``clauses``: how many it can have, each as likely. No two have the same subject or verb, and only the first has an
    opening.
    """
    count = rng.choice(clauses) if len(clauses) > 1 else clauses[0]
    drawn = [sample_clause(rng)]
    connectives: list[str] = []
    while len(drawn) < count:
        clause = sample_clause(rng)
        if any(clause.subject.noun == other.subject.noun or clause.verb == other.verb for other in drawn):
            continue
        # "But it is too old, but the man ..." is no English.
        said = drawn[-1].tail[:1] == ("but",)
        connectives.append("and" if said else rng.choice(list(lexicon.CONNECTIVES)))
        drawn.append(replace(clause, opening=""))
    return Source(tuple(drawn), tuple(connectives))


def sample_clause(rng: random.Random) -> Clause:
    """One clause drawn from the grammar's distribution over clauses."""

    def sometimes(probability: float, words: Sequence[str]) -> str:
        return rng.choice(words) if rng.random() < probability else ""

    verb = rng.choice(list(lexicon.VERBS))
    subject = rng.choice(list(lexicon.PERSONS))
    noun = rng.choice([noun for noun in lexicon.OBJECTS[verb] if noun != subject])
    kind = lexicon.KINDS[noun]

    adjective = sometimes(0.3, _adjectives(kind))
    said = lexicon.ADJECTIVES[adjective].scale if adjective else ""
    others = [word for word in _adjectives(kind) if lexicon.ADJECTIVES[word].scale != said]
    first, second = rng.choice(others), rng.choice(others)
    form = rng.random()
    tail: tuple[str, ...] = ()
    # "But it is" never speaks of a person: "he" or "she" would give the German noun away.
    if form < 0.05 and kind != "person":
        tail = ("but", rng.choice([word for word in others if lexicon.ADJECTIVES[word].too]))
    elif 0.05 <= form < 0.08:
        tail = ("very", first)
    elif 0.08 <= form < 0.1 and lexicon.ADJECTIVES[first].scale != lexicon.ADJECTIVES[second].scale:
        tail = ("both", first, second)
    beside = tail[:1] in (("very",), ("both",))

    return Clause(
        opening=sometimes(0.04, list(lexicon.OPENINGS)),
        subject=Phrase(rng.choice(("the", "the", "a")), sometimes(0.1, _adjectives("person")), subject),
        verb=verb,
        object=Phrase(rng.choice(("the", "this", "a")), adjective, noun),
        manner="" if beside else sometimes(0.1, list(lexicon.MANNERS)),
        place="" if beside or kind == "home" else sometimes(0.25, list(lexicon.PLACES)),
        time=sometimes(0.9, list(lexicon.TIMES)),
        tail=tail,
    )


def _adjectives(kind: str) -> list[str]:
    return [word for word, adjective in lexicon.ADJECTIVES.items() if kind in adjective.kinds]


@dataclass(frozen=True)
class Recipe:
    """The ``source`` mapping of a grammar dataset: pairs of each split, further references of valid and test, modes,
    how many clauses a sentence can have, how probable its orders are, and the task: what a target is to its source."""

    pairs: int
    valid: int
    test: int
    seed: int
    references: int
    modes: dict[str, float]
    clauses: Sequence[int] = (1,)
    orders: Sequence[float] = (1.0,)
    task: str = "translation"

    def translations(self) -> Translations:
        """P(Y|X) of its sources."""
        grammar = Grammar(self.modes)
        if self.task == "paraphrase":
            return Paraphrases(grammar)
        if self.task == "summary":
            return Summaries(grammar, core)
        return Reordered(grammar, self.orders) if len(self.orders) > 1 else grammar

    def sources(self) -> dict[str, list[Source] | list[Wording]]:
        """The sources of every split, all different; test and valid come first, so they do not depend on ``pairs``.

        German ones are of different meanings; paraphrased are those that can be said in another way.
        """
        rng = random.Random(f"{self.seed}/sources")
        fresh = _distinct(rng, self.clauses)
        grammar = Grammar(self.modes)
        if self.task == "paraphrase":
            fresh = (meaning for meaning in fresh if grammar.distribution(meaning).size > 1)
        sizes = {"test": self.test, "valid": self.valid, "train": self.pairs}
        drawn = {split: list(itertools.islice(fresh, size)) for split, size in sizes.items()}
        if self.task == "translation":
            return drawn
        rngs = {split: random.Random(f"{self.seed}/{split}/wordings") for split in drawn}
        return {
            split: [Wording(meaning, grammar.sample(meaning, rngs[split])) for meaning in meanings]
            for split, meanings in drawn.items()
        }


def _distinct(rng: random.Random, clauses: Sequence[int]) -> Iterator[Source]:
    """Sources drawn one after the other, those seen before left out."""
    seen = set()
    while True:
        source = sample_source(rng, clauses)
        if source.tokens not in seen:
            seen.add(source.tokens)
            yield source


def generate(recipe: Recipe, out: Path) -> None:
    """Fill the folder ``out``: the splits, further references of valid and test, ``stats.json``, ``exact.json``."""
    grammar = recipe.translations()
    stats: dict[str, Any] = {"modes": recipe.modes, "seed": recipe.seed, "splits": {}}
    exactly: dict[str, dict[str, Any]] = {}
    types: dict[str, set[str]] = {"src": set(), "tgt": set()}
    for split, sources in recipe.sources().items():
        further = recipe.references if split != "train" else 0
        rng = random.Random(f"{recipe.seed}/{split}")
        said = [source.tokens for source in sources]
        targets = [[grammar.sample(source, rng) for source in sources] for _ in range(1 + further)]
        columns = {"src": said, "tgt": targets[0]} | {f"ref{k}": targets[k] for k in range(1, 1 + further)}
        for suffix, rows in columns.items():
            with open(out / f"{split}.{suffix}", "w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{sentence(tokens)}\n" for tokens in rows)
        stats["splits"][split] = {
            "pairs_out": len(sources),
            "further_references": further,
            "tokens": {"src": sum(map(len, said)), "tgt": sum(map(len, targets[0]))},
        }
        types["src"].update(word for tokens in said for word in lowered(tokens))
        types["tgt"].update(word for tokens in targets[0] for word in lowered(tokens))
        if split != "train":
            exactly[split] = _exact(grammar, sources, targets[0], further, rng)
    stats["types"] = {side: len(words) for side, words in types.items()}
    write_json(out / "stats.json", stats)
    write_json(out / "exact.json", {"convention": exact.CONVENTION, **exactly["valid"], "test": exactly["test"]})


def distributions(source: Mapping[str, Any], split: str) -> list[Distribution]:
    """P(Y|X) of each source of valid or test of a grammar dataset's ``source``, tokens in lower case."""
    # the training sources come last and need not be drawn
    recipe = Recipe(**{key: value for key, value in source.items() if key != "kind"} | {"pairs": 0})
    return _lowered(recipe.translations(), recipe.sources()[split])


def _lowered(grammar: Translations, sources: Sequence[Source | Wording]) -> list[Distribution]:
    """P(Y|X) of each source, tokens in lower case."""
    cased = (grammar.distribution(source).factors for source in sources)
    return [Distribution(tuple([(lowered(t), p) for t, p in factor] for factor in factors)) for factors in cased]


def _exact(
    grammar: Translations,
    sources: Sequence[Source | Wording],
    drawn: Sequence[Tokens],
    references: int,
    rng: random.Random,
) -> dict[str, Any]:
    distributions = _lowered(grammar, sources)
    return {
        "sentences": len(sources),
        **exact.information(distributions),
        "mean_targets": sum(distribution.size for distribution in distributions) / len(distributions),
        **exact.ceiling(distributions, references, rng),
        "ideal_losses": exact.ideal_losses(distributions, [lowered(tokens) for tokens in drawn]),
    }


def show(recipe: Recipe, count: int) -> None:
    """Print ``count`` sources with all their targets, the likeliest first; with ten that are drawn where a source has
    several clauses, and too many targets."""
    grammar = recipe.translations()
    rng = random.Random(recipe.seed)
    for source in replace(recipe, test=count, valid=0, pairs=0).sources()["test"]:
        print(sentence(source.tokens))
        distribution = grammar.distribution(source)
        if len(distribution.factors) == 1:
            (targets,) = distribution.factors
        else:
            drawn = [distribution.draw(rng) for _ in range(10)]
            targets = [(tokens, distribution.probability(tokens)) for tokens in drawn]
        for tokens, probability in sorted(targets, key=lambda pair: -pair[1]):
            print(f"  {probability:.{4 if len(distribution.factors) == 1 else 7}f}  {sentence(tokens)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="the dataset's YAML; --show without it sets all modes to 1")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", type=Path, help="the text folder to write, replaced if it exists")
    action.add_argument(
        "--show", type=int, metavar="N", help="print N sources with all their targets and probabilities"
    )


def run(args: argparse.Namespace) -> None:
    if args.config is None:
        if args.out is not None:
            raise UserError("--out needs a dataset; name its YAML with --config")
        show(Recipe(0, 0, 0, seed=1, references=0, modes=dict.fromkeys(MODES, 1.0)), args.show)
        return
    source = dict(dataset.load(args.config)["source"])
    kind = source.pop("kind")
    if kind != "grammar":
        raise UserError(f"{args.config}: source.kind is {kind!r}; natlab grammar needs 'grammar'")
    recipe = Recipe(**source)
    if args.show is not None:
        show(recipe, args.show)
        return
    with folder_aside(args.out) as folder:
        generate(recipe, folder)
