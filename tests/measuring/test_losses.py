import itertools
from dataclasses import replace
from math import log

import pytest
import torch
from tests import plain

from natlab.decoding import batches
from natlab.decoding.kinds import sample
from natlab.decoding.kinds.argmax import Argmax
from natlab.kernels import use
from natlab.losses.batch import Timed, autoregressive_loss, batch_loss
from natlab.losses.interface import SHARE, Added, Value
from natlab.measuring.losses import confidence, losses, mean_distance, of_codes, parameters, proxy_targets, share
from natlab.models.multilingual import MultilingualEncoder
from natlab.models.transformer import Config, Transformer

CONFIG = Config(16, 32, 1, 1, 2, 0.1, 12, 12, True)
SOURCES = [torch.tensor(ids) for ids in ([4, 5, 2], [6, 7, 8, 2], [9, 2])]
TARGETS = [torch.tensor(ids) for ids in ([7, 2], [4, 5, 6, 2], [8, 9, 10, 11, 2])]


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield


def test_an_autoregressive_loss_counts_the_bits_of_eos_but_not_eos_as_a_token():
    torch.manual_seed(0)
    model = Transformer(CONFIG).eval()
    found = losses(model, SOURCES, TARGETS, None)
    nll = sum(
        float(autoregressive_loss(model, source[None], target[None]).values["nll"].sums)
        for source, target in zip(SOURCES, TARGETS, strict=True)
    )
    assert found["loss"]["value"] == pytest.approx(nll / (1 + 3 + 4) / log(2), rel=1e-4)
    assert found["length"]["value"] == 0
    assert (found["loss"]["tokens"], found["loss"]["sentences"], found["loss"]["unit"]) == (8, 3, "bits/token")


@pytest.mark.parametrize("max_tokens", [1, 8, 1000])
def test_losses_do_not_depend_on_the_batches(max_tokens):
    torch.manual_seed(0)
    model = plain.nat(CONFIG).eval()
    expected = losses(model, SOURCES, TARGETS, plain.method())
    found = losses(model, SOURCES, TARGETS, plain.method(), max_tokens)
    for name in ("loss", "length"):
        assert found[name]["value"] == pytest.approx(expected[name]["value"], rel=1e-4)


@pytest.mark.parametrize("parts", [None, {}, {"input": {"name": "glat", "end": 1.0}}, {"objective": "oaxe"}])
def test_the_parts_of_sentences_are_what_training_counts(parts):
    """Each sentence's bits and tokens are those of a batch of its own under the training's loss."""
    torch.manual_seed(0)
    model = (Transformer if parts is None else plain.nat)(CONFIG).eval()
    method = None if parts is None else plain.method(**parts)
    torch.manual_seed(1)
    found = losses(model, SOURCES, TARGETS, method, max_tokens=1)
    torch.manual_seed(1)
    for (i,) in batches([max(len(s), len(t)) for s, t in zip(SOURCES, TARGETS, strict=True)], 1):
        part = batch_loss(model, SOURCES[i][None], TARGETS[i][None], method, progress=1.0)
        for name in ("nll", "length"):
            bits, tokens = found["loss" if name == "nll" else name]["by_sentence"][i]
            nats = float(part.values[name].sums)
            assert bits == pytest.approx(nats / log(2), abs=1e-4) and tokens == part.tokens
    for value in found.values():
        parts, of = map(sum, zip(*value["by_sentence"], strict=True))
        assert value["value"] == pytest.approx(parts / of, abs=1e-4)


def test_revealed_tokens_are_counted_at_no_cost():
    """With everything wrong and λ at its end, GLAT hides all but floor(0.3 T) tokens of a target of T."""
    torch.manual_seed(0)
    model = plain.nat(CONFIG).eval()
    hidden = losses(model, SOURCES, TARGETS, plain.method())
    glanced = losses(model, SOURCES, TARGETS, plain.method(input={"name": "glat", "end": 1.0}))
    assert glanced["loss"]["tokens"] == hidden["loss"]["tokens"]
    assert glanced["loss"]["value"] < hidden["loss"]["value"]


def with_predictor(seed=0):
    torch.manual_seed(seed)
    return [plain.nat(CONFIG, masking=head).eval() for head in (True, False)]


def test_l_input_is_the_divergence_of_all_inputs_there_can_be():
    """CMLM reveals one of two tokens or none, each half of the time: L_input by enumeration (MPLE, equation 11)."""
    model, predictor = with_predictor()
    source, target = SOURCES[0], torch.tensor([7, 8, 2])
    with torch.no_grad():
        encoded, length = model.encoder(source[None]), torch.tensor([2])
        masked = model.masked_logits(model.decode(encoded, length)).sigmoid()[0]
        states = predictor.decode(predictor.encoder(source[None]), length)
        theirs = predictor.logits(states)[0].softmax(1)[torch.arange(2), target[:2]]
    expected = 0.0
    for revealed, chance in ((set(), 1 / 2), ({0}, 1 / 4), ({1}, 1 / 4)):
        of_input = 1.0
        for i in range(2):
            of_input *= float((1 - masked[i]) * theirs[i]) if i in revealed else float(masked[i])
        expected += chance * log(chance / of_input)
    torch.manual_seed(1)
    many = 600
    found = losses(model, [source] * many, [target] * many, plain.method(input="cmlm"), predictor=predictor)
    assert found["l_input"]["value"] == pytest.approx(expected / 2 / log(2), rel=0.05)
    assert found["l_input"]["tokens"] == 2 * many and set(found) == {"loss", "token_loss", "length", "l_input"}


@pytest.mark.parametrize("decoding", [{"kind": "argmax"}, {"kind": "sample", "seed": 2}])
def test_confidence_is_per_token_over_all_sentences(decoding):
    model, predictor = with_predictor()
    decoding = {**decoding, "length_factor": 1.5}
    made = [sample.draw(model, source[None], predictor, 1.5, decoding.get("seed")) for source in SOURCES]
    nats = sum(float(one.log_probability) for one in made)
    tokens = sum(int(one.lengths) for one in made)
    found = confidence(model, SOURCES, decoding, predictor)
    assert found["value"] == pytest.approx(nats / tokens / log(2), rel=1e-4)
    assert (found["tokens"], found["unit"]) == (tokens, "bits/token")
    each = [[float(one.log_probability) / log(2), int(one.lengths)] for one in made]
    assert found["by_sentence"] == [pytest.approx(part, abs=1e-3) for part in each]
    if decoding["kind"] == "argmax":
        decoded = [Argmax(length_factor=1.5)(model, source[None])[0].tolist() for source in SOURCES]
        assert decoded == [one.tokens[0].tolist() for one in made]


@pytest.mark.parametrize("max_tokens", [1, 1000])
def test_proxy_targets_are_in_the_order_of_the_pairs_without_eos_and_blanks(max_tokens):
    class Blanks:
        """Puts ε (bos) in the first place."""

        def __call__(self, references, prediction):
            first = torch.arange(references.tokens.shape[1]) == 0
            return references.tokens.masked_fill(first, CONFIG.bos)

    model, _ = with_predictor()
    raw = plain.method(input="cmlm")
    found = proxy_targets(model, SOURCES, TARGETS, raw, max_tokens)
    assert [target.tolist() for target in found] == [target[:-1].tolist() for target in TARGETS]
    found = proxy_targets(model, SOURCES, TARGETS, replace(raw, target=Blanks()), max_tokens)
    assert [target.tolist() for target in found] == [target[1:-1].tolist() for target in TARGETS]


def test_candidates_are_those_of_the_sentences_in_a_batch():
    model, _ = with_predictor()
    table = torch.arange(4, 4 + len(SOURCES))[:, None, None].expand(-1, 2, 2)
    bleu = torch.full((len(SOURCES), 2, 2), 100.0)

    def candidates(rows):
        return {"candidates": table[rows], "bleu": bleu[rows], "gamma": torch.ones(2)}

    method = plain.method(target="dynamic")
    found = proxy_targets(model, SOURCES, TARGETS, method, candidates=candidates)
    assert [target.tolist() for target in found] == [[4, 4], [5, 5], [6, 6]]
    assert losses(model, SOURCES, TARGETS, method, candidates=candidates)["loss"]["tokens"] == 6


@pytest.mark.parametrize("joint, cls", itertools.product([True, False], [Transformer, plain.nat]))
def test_parameters_with_and_without_embeddings(joint, cls):
    config = Config(16, 32, 1, 1, 2, 0.1, 12, 20, joint)
    if joint:
        config = Config(16, 32, 1, 1, 2, 0.1, 12, 12, joint)
    model = cls(config)
    assert {value["unit"] for value in parameters(model).values()} == {"parameters"}
    found = {name: value["value"] for name, value in parameters(model).items()}
    attention, forward, norm = 4 * (16 * 16 + 16), 2 * 16 * 32 + 32 + 16, 2 * 16
    expected = attention + forward + 2 * norm + 2 * attention + forward + 3 * norm
    expected += 256 * 17 if cls is plain.nat else 0
    assert found == {
        "parameters": expected + 16 * (12 if joint else 12 + 20),
        "parameters_without_embeddings": expected,
    }


def test_a_masked_token_s_loss_counts_only_what_is_not_revealed():
    torch.manual_seed(0)
    model = plain.nat(CONFIG).eval()
    half = plain.method(input={"name": "cmlm", "ratio": 0.5})
    found = losses(model, SOURCES, TARGETS, half)
    masked = sum(n - n // 2 for n in (len(target) - 1 for target in TARGETS))
    assert found["token_loss"]["tokens"] == masked < found["loss"]["tokens"]
    total = found["loss"]["value"] * found["loss"]["tokens"]
    assert found["token_loss"]["value"] * masked == pytest.approx(total)


def test_values_that_objectives_and_terms_have_names_for_are_measured_under_them():
    """A share in per cent of what it is a share of, a loss in bits of each."""

    class Made:
        weight = 1.0

        def __call__(self, batch):
            shared = Value(batch.lengths - 1, 2 * batch.lengths, SHARE)
            return Added(torch.zeros(()), {"all_but_one": shared, "cost": Value(batch.lengths * log(8), batch.lengths)})

    torch.manual_seed(0)
    method = replace(plain.method(objective={"name": "oaxe", "truncate": 0.9999}), terms=[Timed(Made())])
    found = losses(plain.nat(CONFIG).eval(), SOURCES, TARGETS, method, max_tokens=1)
    assert set(found) == {"loss", "token_loss", "truncated", "moved", "all_but_one", "cost"}
    # lengths 1, 3, 4
    assert found["all_but_one"] == {
        "value": pytest.approx(100 * 5 / 16), "unit": "%", "by_sentence": [[0, 2], [200, 6], [300, 8]], "sentences": 3,
    }  # fmt: skip
    assert found["cost"]["value"] == pytest.approx(3, abs=1e-4) and found["cost"]["unit"] == "bits/token"
    assert found["truncated"]["value"] == 100 and found["moved"]["unit"] == "%"  # no prediction is that sure


def test_a_share_is_in_per_cent_also_of_each_sentence():
    found = share(torch.tensor([1.0, 0.0, 2.0]), torch.tensor([4, 3, 3]))
    assert found == {"value": 30.0, "unit": "%", "by_sentence": [[100.0, 4], [0.0, 3], [200.0, 3]]}
    assert sum(part for part, _ in found["by_sentence"]) / sum(of for _, of in found["by_sentence"]) == found["value"]


def test_a_distance_is_the_mean_over_positions_also_of_each_sentence():
    found = mean_distance(torch.tensor([1.5, 0.0, 2.25]), torch.tensor([4, 0, 1]))
    assert found == {"value": 0.75, "unit": "squared distance", "by_sentence": [[1.5, 4], [0.0, 0], [2.25, 1]]}
    assert mean_distance(torch.zeros(1), torch.zeros(1, dtype=torch.long))["value"] == 0


@pytest.mark.parametrize("max_tokens", [1, 8, 1000])
def test_l_input_is_each_sentences_own(max_tokens):
    """Whatever the batches: a sure masking head pays for each token that is revealed, by its sentence's tokens."""
    model, predictor = with_predictor()
    method = plain.method(input={"name": "glat", "start": 1.0, "end": 1.0})
    found = losses(model, SOURCES, TARGETS, method, max_tokens, predictor=predictor)["l_input"]
    assert [tokens for _, tokens in found["by_sentence"]] == [1, 3, 4]
    assert all(bits > 0 for bits, _ in found["by_sentence"])


@pytest.mark.parametrize("max_tokens", [1, 7, 1000])
def test_perplexity_is_of_all_codes_on_the_canvases_padding_none(max_tokens):
    """2 to the entropy of how often each code is taken, sentence by sentence; another architecture has none."""
    torch.manual_seed(0)
    net = plain.nat(CONFIG, fill="codes", codebook={"name": "random", "size": 5}).eval()
    found = of_codes(net, SOURCES, TARGETS, max_tokens)
    counts = torch.zeros(5, dtype=torch.double)
    for source in SOURCES:
        encoded = net.encoder(source[None])
        length = net.lengths.likely(encoded, 1)[:, 0]
        for state in net.fill.copied(encoded, length)[0]:
            counts[(net.codebook.vectors - state).norm(dim=1).argmin()] += 1
    shares = counts[counts > 0] / counts.sum()
    expected = 2 ** float(-(shares * shares.log2()).sum())
    assert found["code_perplexity"]["value"] == pytest.approx(expected) and expected > 1
    assert set(found) == {"code_perplexity"} and found["code_perplexity"]["sentences"] == 3
    assert of_codes(plain.nat(CONFIG).eval(), SOURCES, TARGETS) == {}


def test_codes_of_an_encoder_are_of_its_sources_words_whatever_the_batches():
    torch.manual_seed(0)
    model = MultilingualEncoder(CONFIG, codebook={"name": "random", "size": 5}).eval()
    alone, together = (of_codes(model, SOURCES, TARGETS, size) for size in (1, 1000))
    counts = torch.bincount(torch.cat([model.coded(source[None]) for source in SOURCES]), minlength=5).double()
    assert alone == together and counts.sum() == 6  # words of 2, 3 and 1
    shares = counts[counts > 0] / counts.sum()
    assert alone["code_perplexity"]["value"] == pytest.approx(2 ** float(-(shares * shares.log2()).sum()))
    assert {"retrieval", "code_retrieval"} < set(alone)
