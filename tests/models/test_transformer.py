from dataclasses import replace

import pytest
import torch
from benchmarks.stock import fairseq_twin
from tests import plain

from natlab import families
from natlab.errors import UserError
from natlab.models.layers import Dropout, sinusoidal_positions
from natlab.models.load import build, load, publish
from natlab.models.transformer import Config, Transformer

SMALL = Config(16, 32, 2, 2, 4, 0.1, 13, 13, True)


def sentences(count, longest, vocabulary=13, seed=0):
    """Random sentences [count, longest], each ending in eos, padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, longest + 1, (count,), generator=generator)
    lengths[0] = longest
    tokens = torch.randint(4, vocabulary, (count, longest), generator=generator)
    tokens[torch.arange(count), lengths - 1] = 2
    return tokens.masked_fill(torch.arange(longest) >= lengths[:, None], 1)


CMLMS = {"learned_positions": 10, "activation": "gelu", "scale_embeddings": False}


@pytest.mark.parametrize("changed", [{}, *({key: value} for key, value in CMLMS.items()), CMLMS])
def test_the_transformer_computes_what_fairseqs_computes(changed):
    torch.manual_seed(0)
    ours = Transformer(replace(SMALL, **changed)).eval()
    for parameter in ours.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    theirs, _ = fairseq_twin(ours)
    source, target = sentences(5, 9), sentences(5, 7, seed=1)
    previous = torch.cat([torch.full((5, 1), 2), target[:, :-1]], dim=1)
    with torch.no_grad():
        expected, _ = theirs(source, source.ne(1).sum(1), previous)
        found = ours.logits(ours(source, previous))
    counted = target.ne(1)
    torch.testing.assert_close(found[counted], expected[counted], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changed", [{}, CMLMS])
def test_a_cmlm_computes_what_fairseqs_computes(changed):
    """Theirs sees the mask as a word, `unk`, whose embedding is our canvas' vector."""
    torch.manual_seed(0)
    ours = plain.nat(replace(SMALL, **changed), fill="mask").eval()
    for parameter in ours.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    ours.fill.vector.data = ours.embedding.scaled(torch.tensor(3)).data
    theirs, dictionary = fairseq_twin(ours)
    source, target = sentences(5, 9), sentences(5, 7, seed=1)
    lengths, revealed = target.ne(1).sum(1), torch.rand(5, 7) < 0.4
    shown = target.masked_fill(~revealed & target.ne(1), dictionary.unk())
    with torch.no_grad():
        encoded = theirs.encoder(source, source.ne(1).sum(1))
        expected, _ = theirs.decoder.extract_features(shown, encoded)
        found = ours.decode(ours.encoder(source), lengths, revealed, target)
    counted = target.ne(1)
    torch.testing.assert_close(found[counted], expected[counted], rtol=1e-4, atol=1e-4)


LENGTHS = [{"name": "absolute"}, {"name": "difference"}, {"name": "source", "factor": 2}]
FILLS = [{"fill": fill} for fill in families.names("fill") if fill != "codes"]
FILLS += [{"fill": "codes", "codebook": codebook} for codebook in ("learned", "moving")]
NATS = [plain.architecture(lengths=lengths, **fill) for fill in FILLS for lengths in LENGTHS]


@pytest.mark.parametrize("architecture", [{"name": "transformer"}, *NATS])
def test_every_parameter_is_trained(architecture):
    model, source = build({"architecture": architecture, **vars(SMALL)}), sentences(4, 6)
    if architecture["name"] == "nat":
        encoded, lengths = model.encoder(source), torch.tensor([3, 5, 1, 2])
        out = model.logits(model.decode(encoded, lengths)).logsumexp(2).sum()
        scores = model.lengths(encoded)
        out = out if scores is None else out + scores.logsumexp(1).sum()
    else:
        out = model.logits(model(source, source)).logsumexp(2).sum()
    out.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_all_ways_to_say_a_length_are_built():
    assert [lengths["name"] for lengths in LENGTHS] == families.names("length")


@pytest.mark.parametrize("fill, lengths", [*((fill, "difference") for fill in FILLS), ({"fill": "copy"}, "absolute")])
def test_nat_states_do_not_depend_on_padding_or_on_the_rest_of_the_batch(fill, lengths):
    torch.manual_seed(0)
    model = plain.nat(SMALL, lengths=lengths, **fill).eval()
    source = sentences(6, 9)
    at = torch.tensor([4, 9, 1, 12, 7, 3])
    with torch.no_grad():
        together = model.decode(model.encoder(source), at)
        for i, length in enumerate(at.tolist()):
            alone = source[i : i + 1, : int(source[i].ne(1).sum())]
            states = model.decode(model.encoder(alone), torch.tensor([length]))
            torch.testing.assert_close(together[i, :length], states[0], rtol=1e-4, atol=1e-5)


def test_revealed_tokens_change_the_states_and_hidden_ones_do_not():
    torch.manual_seed(0)
    model = plain.nat(SMALL, fill="mask").eval()
    source, lengths = model.encoder(sentences(1, 5)), torch.tensor([4])
    target, other = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[5, 9, 7, 8]])
    hidden = torch.tensor([[True, False, True, True]])
    with torch.no_grad():
        torch.testing.assert_close(
            model.decode(source, lengths, hidden, target), model.decode(source, lengths, hidden, other)
        )
        shown = model.decode(source, lengths, ~hidden, target)
        assert not torch.allclose(shown, model.decode(source, lengths, ~hidden, other))


def test_a_published_model_comes_back_whole_and_a_damaged_one_is_refused(tmp_path):
    model = plain.nat(SMALL)
    publish(tmp_path / "model.pt", model, {"fingerprint": "abc"})
    again, provenance = load(tmp_path / "model.pt")
    assert provenance == {"fingerprint": "abc"} and again.config == SMALL and again.description() == model.description()
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    whole = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "short.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="short.pt: not a whole natlab model"):
        load(tmp_path / "short.pt")


def encoder_and_decoder(**changed):
    torch.manual_seed(0)
    return Transformer(replace(SMALL, dropout=0.0, **changed)).eval()


def test_an_encoded_batch_knows_its_embeddings_padding_and_lengths():
    model, tokens = encoder_and_decoder(), torch.tensor([[4, 5, 2], [6, 2, 1]])
    source = model.encoder(tokens)
    torch.testing.assert_close(source.embedded, 4 * model.embedding.weight[tokens])
    assert source.padding.tolist() == [[False, False, False], [False, False, True]]
    assert source.lengths.tolist() == [3, 2] and source.encoded.shape == (2, 3, 16)
    assert source.mask[:, 0, 0].tolist() == [[0, 0, 0], [0, 0, -torch.inf]]
    assert model.encoder(tokens[:1]).mask is None


def test_sentences_are_chosen_and_repeated_in_all_that_an_encoded_batch_holds():
    source = encoder_and_decoder().encoder(sentences(3, 5))
    for found, rows in ((source.repeated(2), [0, 0, 1, 1, 2, 2]), (source.chosen(torch.tensor([2, 0, 2])), [2, 0, 2])):
        for field in ("embedded", "encoded", "padding", "mask", "lengths"):
            assert torch.equal(getattr(found, field), getattr(source, field)[rows])
    assert source.repeated(1) is source
    whole = encoder_and_decoder().encoder(torch.tensor([[4, 5, 2]]))
    assert whole.chosen(torch.tensor([0, 0])).mask is None


def test_memories_are_each_layers_keys_and_values_of_the_encoded_source():
    model = encoder_and_decoder()
    source = model.encoder(sentences(3, 5))
    for layer, memory in zip(model.layers, source.memories(model.layers), strict=True):
        assert torch.equal(memory, layer.cross.memory(source.encoded)) and memory.shape == (2, 3, 4, 5, 4)


@pytest.mark.parametrize("cls", [Transformer, plain.nat])
def test_in_bfloat16_the_states_are_bfloat16_and_near_those_in_float32(cls):
    torch.manual_seed(0)
    exact, tokens, lengths = cls(replace(SMALL, dropout=0.0)).eval(), sentences(3, 5), torch.tensor([4, 2, 1])
    rough = cls(replace(SMALL, dropout=0.0, precision="bf16")).eval()
    rough.load_state_dict(exact.state_dict())

    def states(model):
        return model(tokens, tokens) if cls is Transformer else model.decode(model.encoder(tokens), lengths)

    found = states(rough)
    assert (
        found.dtype == torch.bfloat16 == rough.encoder(tokens).encoded.dtype
        and rough.logits(found).dtype == torch.float32
    )
    torch.testing.assert_close(found.float(), states(exact), rtol=0.1, atol=0.1)


def test_vocabularies_are_shared_only_if_joint():
    apart = encoder_and_decoder(joint_vocabulary=False, target_vocabulary=20)
    assert apart.encoder.embedding.weight.shape == (13, 16) and apart.embedding.weight.shape == (20, 16)
    assert apart.logits(torch.zeros(2, 16)).shape == (2, 20)
    joint = encoder_and_decoder()
    assert joint.embedding is joint.encoder.embedding and joint.device == torch.device("cpu")


def test_the_output_layer_is_the_embeddings():
    model, hidden = encoder_and_decoder(), torch.randn(5, 16)
    expected = hidden @ model.embedding.weight.t()
    torch.testing.assert_close(model.logits(hidden), expected)
    assert torch.equal(model.likeliest(hidden)[0], expected.argmax(1))
    among = torch.tensor([9, 3, 12])
    words, normaliser = model.likeliest(hidden, among)
    assert torch.equal(words, among[expected[:, among].argmax(1)])
    torch.testing.assert_close(normaliser, expected[:, among].logsumexp(1))
    loss, nll = model.token_loss(hidden, among.repeat(2)[:5], 0.2)
    logp = expected.log_softmax(1)
    torch.testing.assert_close(nll, -logp[torch.arange(5), among.repeat(2)[:5]])
    torch.testing.assert_close(loss, (0.8 * nll + 0.2 / 12 * (-logp.sum(1) - nll)).sum())


def test_the_loss_of_sentences_is_that_of_the_tokens_predicted_in_each():
    """Of two sentences of three positions, two and one are predicted."""
    model, hidden, target = encoder_and_decoder(), torch.randn(2, 3, 16), torch.tensor([[4, 5, 6], [7, 8, 9]])
    predicted = torch.tensor([[True, False, True], [False, True, False]])
    loss, nll = model.sentence_loss(hidden, target, predicted, 0.2)
    logp = model.logits(hidden).log_softmax(2)
    expected = -torch.stack([logp[0, 0, 4] + logp[0, 2, 6], logp[1, 1, 8]])
    torch.testing.assert_close(nll, expected)
    of_all = -(logp.sum(2) * predicted).sum()
    torch.testing.assert_close(loss, 0.8 * expected.sum() + 0.2 / 12 * (of_all - expected.sum()))


@pytest.mark.parametrize("part, places", [("encoder", 5), ("decoder", 7)])
def test_dropout_is_of_the_embeddings_and_of_each_sublayer(part, places, monkeypatch):
    model, tokens, seen = Transformer(replace(SMALL, dropout=0.25)), sentences(2, 5), []
    source = model.encoder(tokens)
    monkeypatch.setattr(Dropout, "forward", lambda self, x: seen.append(self.p) or x)
    model.encoder(tokens) if part == "encoder" else model.decode(source, tokens)
    assert seen == [0.25] * places


def test_what_is_dropped_of_the_encoders_input_is_embeddings_and_positions():
    model = encoder_and_decoder(encoder_layers=0)
    tokens = sentences(2, 5)
    expected = 4 * model.embedding.weight[tokens] + sinusoidal_positions(5, 16)
    torch.testing.assert_close(model.encoder(tokens).encoded, expected)
    without = encoder_and_decoder(decoder_layers=0)
    torch.testing.assert_close(without(tokens, tokens), expected)


def test_a_description_says_all_that_makes_a_model():
    assert Transformer(SMALL).description() == {
        "architecture": {"name": "transformer"}, "d_model": 16, "d_hidden": 32, "encoder_layers": 2, "decoder_layers":
        2, "heads": 4, "dropout": 0.1, "source_vocabulary": 13, "target_vocabulary": 13, "joint_vocabulary": True,
        "learned_positions": None,
        "activation": "relu", "scale_embeddings": True, "precision": "fp32", "bos": 0, "pad": 1, "eos": 2,
    }  # fmt: skip
