import itertools
from math import log

import pytest
import torch

from natlab.decoding import argmax, batches, sample
from natlab.measuring.losses import confidence, losses, parameters, proxy_targets
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config, Transformer
from natlab.training.objective import Proxies, autoregressive_loss, batch_loss

CONFIG = Config(16, 32, 1, 1, 2, 0.1, 12, 12, True)
SOURCES = [torch.tensor(ids) for ids in ([4, 5, 2], [6, 7, 8, 2], [9, 2])]
TARGETS = [torch.tensor(ids) for ids in ([7, 2], [4, 5, 6, 2], [8, 9, 10, 11, 2])]
VANILLA = {"architecture": "nat", "target": {"name": "raw"}, "input": {"name": "vanilla"}}


def test_an_autoregressive_loss_counts_the_bits_of_eos_but_not_eos_as_a_token():
    torch.manual_seed(0)
    model = Transformer(CONFIG).eval()
    found = losses(model, SOURCES, TARGETS, None)
    nll = sum(
        float(autoregressive_loss(model, source[None], target[None]).nll.sum())
        for source, target in zip(SOURCES, TARGETS, strict=True)
    )
    assert found["loss"]["value"] == pytest.approx(nll / (1 + 3 + 4) / log(2), rel=1e-4)
    assert found["length"]["value"] == 0
    assert (found["loss"]["tokens"], found["loss"]["sentences"], found["loss"]["unit"]) == (8, 3, "bits/token")


@pytest.mark.parametrize("max_tokens", [1, 8, 1000])
def test_losses_do_not_depend_on_the_batches(max_tokens):
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(CONFIG).eval()
    expected = losses(model, SOURCES, TARGETS, Proxies.of(VANILLA))
    found = losses(model, SOURCES, TARGETS, Proxies.of(VANILLA), max_tokens)
    for name in ("loss", "length"):
        assert found[name]["value"] == pytest.approx(expected[name]["value"], rel=1e-4)


@pytest.mark.parametrize("spec", [None, VANILLA, {**VANILLA, "input": {"name": "glat", "end": 1.0}}])
def test_the_parts_of_sentences_are_what_training_counts(spec):
    """Each sentence's bits and tokens are those of a batch of its own under the training's loss."""
    torch.manual_seed(0)
    model = (Transformer if spec is None else NonAutoregressiveTransformer)(CONFIG).eval()
    proxies = spec and Proxies.of(spec)
    torch.manual_seed(1)
    found = losses(model, SOURCES, TARGETS, proxies, max_tokens=1)
    torch.manual_seed(1)
    for (i,) in batches([max(len(s), len(t)) for s, t in zip(SOURCES, TARGETS, strict=True)], 1):
        part = batch_loss(model, SOURCES[i][None], TARGETS[i][None], proxies, progress=1.0)
        for name, nats in (("loss", part.nll), ("length", part.length_nll)):
            bits, tokens = found[name]["by_sentence"][i]
            assert bits == pytest.approx(float(nats) / log(2), abs=1e-4) and tokens == part.tokens
    for value in found.values():
        bits, tokens = map(sum, zip(*value["by_sentence"], strict=True))
        assert value["value"] == pytest.approx(bits / tokens, abs=1e-4)


def test_revealed_tokens_are_counted_at_no_cost():
    """With everything wrong and λ at its end, GLAT hides all but floor(0.3 T) tokens of a target of T."""
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(CONFIG).eval()
    hidden = losses(model, SOURCES, TARGETS, Proxies.of(VANILLA))
    glanced = losses(model, SOURCES, TARGETS, Proxies.of({**VANILLA, "input": {"name": "glat", "end": 1.0}}))
    assert glanced["loss"]["tokens"] == hidden["loss"]["tokens"]
    assert glanced["loss"]["value"] < hidden["loss"]["value"]


def with_predictor(seed=0):
    torch.manual_seed(seed)
    return [NonAutoregressiveTransformer(CONFIG, predictor=head).eval() for head in (True, False)]


def test_l_input_is_the_divergence_of_all_inputs_there_can_be():
    """CMLM reveals one of two tokens or none, each half of the time: L_input by enumeration (MPLE, equation 11)."""
    model, predictor = with_predictor()
    source, target = SOURCES[0], torch.tensor([7, 8, 2])
    spec = {**VANILLA, "input": {"name": "cmlm"}}
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
    found = losses(model, [source] * many, [target] * many, Proxies.of(spec), predictor=predictor)
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
        decoded = [argmax.decode(model, source[None], length_factor=1.5)[0].tolist() for source in SOURCES]
        assert decoded == [one.tokens[0].tolist() for one in made]


@pytest.mark.parametrize("max_tokens", [1, 1000])
def test_proxy_targets_are_in_the_order_of_the_pairs_without_eos_and_blanks(max_tokens):
    class Blanks:
        """Puts ε (bos) in the first place."""

        def __call__(self, references, prediction):
            first = torch.arange(references.tokens.shape[1]) == 0
            return references.tokens.masked_fill(first, CONFIG.bos)

    model, _ = with_predictor()
    raw = Proxies.of({**VANILLA, "input": {"name": "cmlm"}})
    found = proxy_targets(model, SOURCES, TARGETS, raw, max_tokens)
    assert [target.tolist() for target in found] == [target[:-1].tolist() for target in TARGETS]
    found = proxy_targets(model, SOURCES, TARGETS, Proxies(Blanks(), raw.input), max_tokens)
    assert [target.tolist() for target in found] == [target[1:-1].tolist() for target in TARGETS]


def test_candidates_are_those_of_the_sentences_in_a_batch():
    model, _ = with_predictor()
    table = torch.arange(4, 4 + len(SOURCES))[:, None, None].expand(-1, 2, 2)
    bleu = torch.full((len(SOURCES), 2, 2), 100.0)

    def candidates(rows):
        return {"candidates": table[rows], "bleu": bleu[rows], "gamma": torch.ones(2)}

    proxies = Proxies.of({**VANILLA, "target": {"name": "dynamic"}})
    found = proxy_targets(model, SOURCES, TARGETS, proxies, candidates=candidates)
    assert [target.tolist() for target in found] == [[4, 4], [5, 5], [6, 6]]
    assert losses(model, SOURCES, TARGETS, proxies, candidates=candidates)["loss"]["tokens"] == 6


@pytest.mark.parametrize("joint, cls", itertools.product([True, False], [Transformer, NonAutoregressiveTransformer]))
def test_parameters_with_and_without_embeddings(joint, cls):
    config = Config(16, 32, 1, 1, 2, 0.1, 12, 20, joint)
    if joint:
        config = Config(16, 32, 1, 1, 2, 0.1, 12, 12, joint)
    model = cls(config)
    assert {value["unit"] for value in parameters(model).values()} == {"parameters"}
    found = {name: value["value"] for name, value in parameters(model).items()}
    attention, forward, norm = 4 * (16 * 16 + 16), 2 * 16 * 32 + 32 + 16, 2 * 16
    expected = attention + forward + 2 * norm + 2 * attention + forward + 3 * norm
    expected += 256 * 17 if cls is NonAutoregressiveTransformer else 0
    assert found == {
        "parameters": expected + 16 * (12 if joint else 12 + 20),
        "parameters_without_embeddings": expected,
    }


def test_a_masked_token_s_loss_counts_only_what_is_not_revealed():
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(CONFIG).eval()
    half = Proxies.of({**VANILLA, "input": {"name": "cmlm", "ratio": 0.5}})
    found = losses(model, SOURCES, TARGETS, half)
    masked = sum(n - n // 2 for n in (len(target) - 1 for target in TARGETS))
    assert found["token_loss"]["tokens"] == masked < found["loss"]["tokens"]
    total = found["loss"]["value"] * found["loss"]["tokens"]
    assert found["token_loss"]["value"] * masked == pytest.approx(total)
