"""Paraphrases and summaries of the grammar: that a German sentence has one meaning, and what P(Y|X) is."""

import argparse
import random
from collections import defaultdict
from dataclasses import replace
from itertools import combinations
from math import fsum

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import grammar, lexicon
from natlab.corpus.grammar import MODES, Grammar, Recipe, Source, core, lowered, sample_source, sentence
from natlab.corpus.rewording import Paraphrases, Summaries, Wording
from natlab.errors import UserError
from natlab.files import read_json

STRONG = Grammar(dict.fromkeys(MODES, 1.0))
TASKS = {"paraphrase": {}, "summary": {"clauses": [2, 3]}}


def small(task, **changes):
    return {
        "kind": "grammar", "task": task, "pairs": 60, "valid": 20, "test": 30, "seed": 4, "references": 2,
        "modes": dict.fromkeys(MODES, 0.5), **TASKS[task], **changes,
    }  # fmt: skip


def drawn_sources(count, clauses=(1,), seed=1):
    rng = random.Random(seed)
    return [sample_source(rng, clauses) for _ in range(count)]


TABLES = ["NOUNS", "VERBS", "PLACES", "TIMES", "MANNERS", "OPENINGS", "ADJECTIVES", "CONNECTIVES"]


@pytest.mark.parametrize("tables", [TABLES[:1], TABLES[1:2], TABLES[2:6], TABLES[6:7], TABLES[7:]], ids=" ".join)
def test_no_german_part_translates_two_english_ones(tables):
    def forms(alternative):
        if isinstance(alternative, lexicon.Noun):
            return {alternative.word.lower(), alternative.oblique.lower()}
        if isinstance(alternative, lexicon.Verb):
            return {(alternative.finite, alternative.particle)}
        if isinstance(alternative, lexicon.Adjective):
            return {alternative.predicative, alternative.stem}
        return {alternative if isinstance(alternative, str) else lowered(alternative)}

    said = []
    for table in tables:
        for english, alternatives in getattr(lexicon, table).items():
            alternatives = alternatives if isinstance(alternatives, tuple) else (alternatives,)
            said.append((english, set().union(*map(forms, alternatives))))
    for (first, ours), (second, theirs) in combinations(said, 2):
        assert not ours & theirs, (first, second)


def neighbours(source):
    """The sources of one clause that differ in one part of it."""
    clause = source.clauses[0]
    nouns = {"subject": list(lexicon.PERSONS), "object": list(lexicon.NOUNS)}
    for part, listed in nouns.items():
        phrase = getattr(clause, part)
        for determiner in ("the", "this", "a"):
            yield replace(clause, **{part: replace(phrase, determiner=determiner)})
        for adjective in ("", *lexicon.ADJECTIVES):
            yield replace(clause, **{part: replace(phrase, adjective=adjective)})
        for noun in listed:
            yield replace(clause, **{part: replace(phrase, noun=noun)})
    yield replace(clause, subject=clause.object, object=clause.subject)
    for part, listed in {
        "verb": lexicon.VERBS, "manner": lexicon.MANNERS, "place": lexicon.PLACES, "time": lexicon.TIMES,
        "opening": lexicon.OPENINGS,
    }.items():  # fmt: skip
        for english in (*listed, *([""] if part != "verb" else [])):
            yield replace(clause, **{part: english})
    for tail in ((), *((kind, word) for kind in ("but", "very") for word in lexicon.ADJECTIVES)):
        yield replace(clause, tail=tail)


def test_no_sentence_has_two_meanings_though_they_differ_in_one_part_only():
    for source in drawn_sources(5):
        clause, own = source.clauses[0], {lowered(tokens) for tokens, _ in STRONG.distribution(source).factors[0]}
        for other in neighbours(source):
            if other != clause and other.subject.noun in lexicon.PERSONS:
                theirs = {lowered(tokens) for tokens, _ in STRONG.distribution(Source((other,))).factors[0]}
                assert not own & theirs, (sentence(source.tokens), sentence(Source((other,)).tokens))


def test_no_two_sentences_that_are_drawn_say_the_same():
    meanings = defaultdict(set)
    for source in drawn_sources(500):
        for tokens, _ in STRONG.distribution(source).factors[0]:
            meanings[lowered(tokens)].add(source)
    assert len(meanings) > 10_000 and all(len(of) == 1 for of in meanings.values())


@given(st.integers(0, 2**32), st.fixed_dictionaries(dict.fromkeys(MODES, st.floats(0.01, 1))))
def test_a_paraphrase_is_drawn_as_two_wordings_of_a_meaning_are_that_differ(seed, modes):
    """Bayes over four meanings of equal P(m): P(X, Y) is P(X|m) times P(Y|m) without the diagonal, scaled to P(X|m)."""
    model, rng = Grammar(modes), random.Random(seed)
    meanings = [sample_source(rng) for _ in range(4)]
    source = Wording(meanings[0], model.sample(meanings[0], rng))
    (listed,) = model.distribution(meanings[0]).factors
    if len(listed) == 1:
        return
    joint, of_source = defaultdict(float), 0.0
    for meaning in dict.fromkeys(meanings):
        (targets,) = model.distribution(meaning).factors
        p = dict(targets).get(source.tokens, 0.0)
        of_source += p
        for tokens, q in targets:
            if tokens != source.tokens:
                joint[tokens] += p * q / fsum(q for other, q in targets if other != source.tokens)
    (found,) = Paraphrases(model).distribution(source).factors
    expected = {tokens: p / of_source for tokens, p in joint.items() if p > 0}
    assert dict(found) == pytest.approx(expected) and fsum(p for _, p in found) == pytest.approx(1)
    assert source.tokens not in dict(found) and len(found) == len(listed) - 1


def test_paraphrases_are_drawn_as_often_as_is_said():
    [meaning] = drawn_sources(1, seed=3)
    model = Paraphrases(Grammar(dict.fromkeys(MODES, 0.6)))
    rng = random.Random(1)
    source = Wording(meaning, model.base.sample(meaning, rng))
    (targets,) = model.distribution(source).factors
    counts = defaultdict(int)
    for _ in range(1000):
        counts[model.sample(source, rng)] += 1
    assert counts.keys() <= dict(targets).keys()
    chi_square = sum((counts[tokens] - 1000 * p) ** 2 / (1000 * p) for tokens, p in targets)
    assert chi_square < len(targets) - 1 + 5 * (2 * (len(targets) - 1)) ** 0.5


def test_the_core_of_a_sentence():
    def phrase(determiner, adjective, noun):
        return grammar.Phrase(determiner, adjective, noun)

    first = grammar.Clause(
        "hello", phrase("the", "tired", "girl"), "buys", phrase("this", "old", "car"), "in a hurry", "", "today",
        ("but", "expensive"),
    )  # fmt: skip
    second = grammar.Clause("", phrase("a", "", "man"), "greets", phrase("the", "", "woman"), "", "in the park", "", ())
    source = Source((first, second), ("and",))
    assert sentence(core(source).tokens) == "The girl buys this car."
    (targets,) = Summaries(STRONG, core).distribution(Wording(source, ())).factors
    by_hand = """Das Mädchen kauft dieses Auto. Das Mädchen kauft diesen Wagen.
        Dieses Auto kauft das Mädchen. Diesen Wagen kauft das Mädchen."""
    assert {sentence(tokens) for tokens, _ in targets} == {f"{line.strip()}." for line in by_hand.split(".")[:-1]}
    assert [p for _, p in targets] == pytest.approx([1 / 4] * 4)


def generated(folder, name="text", **source):
    """The files of a corpus, and its exact.json."""
    dataset = {
        "source": source, "languages": {"src": "de", "tgt": "de"}, "tokenise": "moses", "lowercase": True,
        "clean": {"max_length": 250, "max_ratio": None, "deduplicate": False},
        "bpe": {"joint": True, "merges": 4000}, "licence": "none",
    }  # fmt: skip
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(dataset))
    parser = argparse.ArgumentParser()
    grammar.add_arguments(parser)
    grammar.run(parser.parse_args(["--config", str(path), "--out", str(folder / name)]))
    out = folder / name
    files = {path.name: path.read_text().splitlines() for path in out.iterdir() if path.suffix != ".json"}
    return files, read_json(out / "exact.json")


@pytest.mark.parametrize("task", TASKS)
def test_a_corpus_is_of_its_task_and_its_exact_values_are_of_its_targets(tmp_path, task):
    source = small(task)
    text, values = generated(tmp_path, **source)
    sources = [line for split in ("train", "valid", "test") for line in text[f"{split}.src"]]
    assert len(set(map(str.lower, sources))) == len(sources) == 110
    recipe = Recipe(**{key: value for key, value in source.items() if key != "kind"})
    for split in ("valid", "test"):
        distributions = grammar.distributions(source, split)
        wordings = recipe.sources()[split]
        assert text[f"{split}.src"] == [sentence(wording.tokens) for wording in wordings]
        for suffix in ("tgt", "ref1", "ref2"):
            for line, wording, distribution in zip(text[f"{split}.{suffix}"], wordings, distributions, strict=True):
                target = tuple(line.lower().replace(",", " ,").replace(".", " .").split())
                assert distribution.probability(target) > 0
                if task == "paraphrase":
                    assert target != lowered(wording.tokens)
                else:
                    assert 2 * len(target) < len(wording.tokens)
        of_split = values if split == "valid" else values["test"]
        assert of_split["mean_targets"] == sum(of.size for of in distributions) / len(distributions)
        assert of_split["entropy"] > 0 and 0 < of_split["ceiling_bleu"] <= 100


@pytest.mark.parametrize("task", TASKS)
def test_more_training_pairs_leave_valid_and_test_as_they_are(tmp_path, task):
    few, of_few = generated(tmp_path, "few", **small(task))
    many, of_many = generated(tmp_path, "many", **small(task, pairs=90))
    assert of_few == of_many
    assert all(few[name] == many[name] for name in few if not name.startswith("train"))
    assert many["train.src"][:60] == few["train.src"]


def test_what_can_be_said_in_one_way_only_is_not_paraphrased():
    source = small("paraphrase", modes=dict.fromkeys(MODES, 0) | {"separable": 0.1}, pairs=0)
    distributions = grammar.distributions(source, "test")
    assert len(distributions) == 30 and all(distribution.size > 0 for distribution in distributions)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            small("paraphrase", modes=dict.fromkeys(MODES, 0)),
            "source.modes: all are 0, so that nothing has another word",
        ),
        (small("paraphrase", clauses=[2]), "source.clauses: .*A sentence that is paraphrased has one clause"),
        (small("paraphrase", orders=[0.5, 0.5]), "source.task: .*Orders are those of translations"),
        (small("summary", clauses=[1, 2]), "source.clauses.0: .*A sentence that is summarised has several clauses"),
        ({key: value for key, value in small("summary").items() if key != "clauses"}, "source: key clauses is missing"),
        (
            small("summary") | {"task": "copy"},
            "source.task: 'copy' is not allowed; allowed: translation, paraphrase, summary",
        ),
        (small("paraphrase") | {"task": "translation"}, "languages.src: unknown name 'de'; allowed: en"),
    ],
)
def test_what_cannot_be_generated_is_refused(tmp_path, source, message):
    with pytest.raises(UserError, match=message):
        generated(tmp_path, **source)
    assert not (tmp_path / "text").exists()
