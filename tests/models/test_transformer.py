import pytest
import torch
from benchmarks.stock import fairseq_twin
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import UserError
from natlab.models.load import build, load, publish
from natlab.models.nat import NonAutoregressiveTransformer, uniform_copy
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


def test_the_transformer_computes_what_fairseqs_computes():
    torch.manual_seed(0)
    ours = Transformer(SMALL).eval()
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


def test_every_parameter_is_trained():
    for architecture in ("transformer", "nat"):
        model = build(
            {"architecture": architecture, **vars(SMALL), **({"canvas": "copy"} if architecture == "nat" else {})}
        )
        source = sentences(4, 6)
        if architecture == "nat":
            encoded = model.encoder(source)
            lengths = torch.tensor([3, 5, 1, 2])
            out = model.decode(encoded, lengths).sum() + model.length_logits(encoded).logsumexp(1).sum()
            out = out + model.logits(model.decode(encoded, lengths)).logsumexp(2).sum()
        else:
            out = model.logits(model(source, source)).logsumexp(2).sum()
        out.backward()
        assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30))
def test_uniform_copy_is_monotone_and_reaches_both_ends(source, target):
    at = uniform_copy(torch.tensor([source]), torch.tensor([target]), target + 2)[0, :target].tolist()
    assert at[0] == 0 and (target == 1 or at[-1] == source - 1)
    assert at == sorted(at)
    if source == target:
        assert at == list(range(source))


def test_nat_states_do_not_depend_on_padding_or_on_the_rest_of_the_batch():
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(SMALL).eval()
    source = sentences(6, 9)
    lengths = torch.tensor([4, 9, 1, 12, 7, 3])
    with torch.no_grad():
        together = model.decode(model.encoder(source), lengths)
        for i, length in enumerate(lengths.tolist()):
            alone = source[i : i + 1, : int(source[i].ne(1).sum())]
            states = model.decode(model.encoder(alone), torch.tensor([length]))
            torch.testing.assert_close(together[i, :length], states[0], rtol=1e-4, atol=1e-5)


def test_revealed_tokens_change_the_states_and_hidden_ones_do_not():
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(SMALL, "mask").eval()
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
    model = NonAutoregressiveTransformer(SMALL)
    publish(tmp_path / "model.pt", model, {"fingerprint": "abc"})
    again, provenance = load(tmp_path / "model.pt")
    assert provenance == {"fingerprint": "abc"} and again.config == SMALL and again.canvas == "copy"
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    whole = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "short.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="short.pt: not a whole natlab model"):
        load(tmp_path / "short.pt")
