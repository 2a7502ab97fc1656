"""Proxy targets: hand-worked examples, and what MPLE proves of each (appendices E and F), against enumeration."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab import families
from natlab.kernels.axe_align import axe_align_reference
from natlab.proxy.interface import References
from natlab.proxy.targets.axe import aligned

BOS, PAD = 0, 1


def target(name, tokens, prediction, **options):
    return families.load("target", name, **options)(References(torch.tensor(tokens)), prediction)


def logits_of(rows, vocabulary=12):
    """Logits [1, T, V] whose probabilities are proportional to those given, {token: probability} a position."""
    logits = torch.full((1, len(rows), vocabulary), -20.0)
    for position, row in enumerate(rows):
        for token, probability in row.items():
            logits[0, position, token] = torch.tensor(probability).log()
    return logits


def drawn(seed, sentences=3, longest=5, vocabulary=8):
    """(references [B, T] of several lengths, logits [B, T, V]), at random."""
    torch.manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (sentences,))
    tokens = torch.randint(4, vocabulary, (sentences, int(lengths.max())))
    tokens = tokens.masked_fill(torch.arange(tokens.shape[1]) >= lengths[:, None], PAD)
    return tokens, 2 * torch.randn(sentences, tokens.shape[1], vocabulary)


def nll(tokens, logits):
    """L_NAT of one target (a list) under logits [T, V], in nats."""
    return -sum(logits.log_softmax(1)[i, token].item() for i, token in enumerate(tokens))


@pytest.mark.parametrize("name", ["raw", "kd"])
def test_raw_and_kd_take_the_reference_as_it_is(certain, name):
    assert target(name, [[4, 5, 6]], certain([[7, 7, 7]])).tolist() == [[4, 5, 6]]


def test_what_targets_start_from_and_what_they_may_hold():
    traits = {
        name: tuple(families.trait("target", name, trait) for trait in ("references", "blank", "kernels"))
        for name in families.names("target")
    }
    assert traits == {
        "raw": ("raw", False, False),
        "kd": ("distilled", False, False),
        "axe": ("either", True, True),
        "oaxe": ("either", False, True),
        "dynamic": ("candidates", False, False),
    }


def test_targets_that_take_their_references_as_they_are_need_no_prediction():
    """The others are chosen by what a model predicts all at once; of these AXE's and OaXE's place tokens, one each."""
    needs = {name: families.trait("target", name, "needs") for name in families.names("target")}
    offers = {name: families.trait("target", name, "offers") for name in families.names("target")}
    placed = ("parallel", "target length")
    assert needs == {"raw": (), "kd": (), "axe": placed, "oaxe": placed, "dynamic": ("parallel",)}
    plain = ("plain target",)
    assert offers == {"raw": plain, "kd": plain, "axe": (), "oaxe": (), "dynamic": plain}


# ---- AXE


def test_axe_shifts_the_reference_to_where_it_is_predicted(foreseen):
    """MPLE's idea in small: "a b c" is predicted one position late, so its last token is skipped."""
    prediction = foreseen(logits_of([{BOS: 0.9}, {4: 0.9}, {5: 0.9}]))
    assert target("axe", [[4, 5, 6]], prediction, delta=1).tolist() == [[BOS, 4, 5]]


def test_axe_of_a_larger_skip_penalty_keeps_the_reference(foreseen):
    """Shifted: -log 0.9 three times, and delta times 6's cost at the last position; as it is: 4, 5, 6 in their places.
    6 costs 3 there and 4, 5 cost 2 each in theirs, so the shift pays off while 0.3 + 3 delta < 7, up to 2.2."""
    rows = [{BOS: 0.9, 4: 0.1354}, {4: 0.9, 5: 0.1354}, {5: 0.9, 6: 0.0498}]
    for delta, expected in ((2, [[BOS, 4, 5]]), (2.5, [[4, 5, 6]])):
        assert target("axe", [[4, 5, 6]], foreseen(logits_of(rows)), delta=delta).tolist() == expected


def test_axe_pads_where_a_target_is_shorter(foreseen):
    logits = torch.cat([logits_of([{4: 0.9}, {5: 0.9}, {6: 0.9}]), logits_of([{BOS: 0.9}, {4: 0.9}, {4: 0.9}])])
    assert target("axe", [[4, 5, 6], [4, 5, PAD]], foreseen(logits), delta=1).tolist() == [[4, 5, 6], [BOS, 4, PAD]]


@given(st.integers(0, 10**6))
def test_axe_without_a_skip_penalty_is_the_likeliest_of_all_subsequences_with_blanks(foreseen, seed):
    """MPLE, appendix E.3: T* = arg min over S(R)."""
    tokens, logits = drawn(seed)
    prediction = foreseen(logits)
    at = prediction.of(tokens)
    blank = at.log_probs(torch.full_like(tokens, BOS))
    found = aligned(
        tokens,
        axe_align_reference(at.log_probs_everywhere(tokens), blank, at.lengths, at.lengths, 0.0).operations,
        BOS,
        PAD,
    )
    for reference, chosen, row, length in zip(
        tokens.tolist(), found.tolist(), logits, at.lengths.tolist(), strict=True
    ):
        every = set()
        for kept in range(length + 1):
            for which in itertools.combinations(range(length), kept):
                for places in itertools.combinations(range(length), kept):
                    made = [BOS] * length
                    for place, index in zip(places, which, strict=True):
                        made[place] = reference[index]
                    every.add(tuple(made))
        assert tuple(chosen[:length]) in every and set(chosen[length:]) <= {PAD}
        assert nll(chosen[:length], row) == pytest.approx(min(nll(made, row) for made in every), abs=1e-4)


@given(st.integers(0, 10**6), st.sampled_from([0.5, 1.0, 5.0]))
def test_axes_target_costs_the_first_term_of_equation_20(foreseen, seed, delta):
    """The AXE loss is what T costs, and delta times what the skipped targets cost."""
    tokens, logits = drawn(seed)
    prediction = foreseen(logits)
    at = prediction.of(tokens)
    logp, blank = at.log_probs_everywhere(tokens), at.log_probs(torch.full_like(tokens, BOS))
    alignment = axe_align_reference(logp, blank, at.lengths, at.lengths, delta)
    found = target("axe", tokens.tolist(), prediction, delta=delta)
    skipped = torch.zeros(len(tokens))
    for b, operations in enumerate(alignment.operations.tolist()):
        reached = 0
        for operation in operations:
            if operation == 2:
                skipped[b] -= delta * logp[b, reached, alignment.alignment[b, reached]]
            reached += operation in (0, 2)
    torch.testing.assert_close(-at.log_probs(found).sum(1) + skipped, alignment.cost, rtol=1e-4, atol=1e-4)


# ---- OaXE


def test_oaxe_puts_the_reference_into_the_order_of_the_prediction(certain):
    found = target("oaxe", [[4, 5, 6], [7, 8, PAD]], certain([[6, 4, 5], [8, 7, 9]]))
    assert found.tolist() == [[6, 4, 5], [8, 7, PAD]]


@given(st.integers(0, 10**6))
def test_oaxe_is_the_likeliest_of_all_permutations(foreseen, seed):
    """MPLE, appendix E.4: T* = arg min over the permutations of R."""
    tokens, logits = drawn(seed)
    found = target("oaxe", tokens.tolist(), foreseen(logits)).tolist()
    for reference, chosen, row in zip(tokens.tolist(), found, logits, strict=True):
        length = sum(token != PAD for token in reference)
        assert sorted(chosen[:length]) == sorted(reference[:length]) and set(chosen[length:]) <= {PAD}
        least = min(nll(made, row) for made in itertools.permutations(reference[:length]))
        assert nll(chosen[:length], row) == pytest.approx(least, abs=1e-4)


# ---- dynamic KD


def dynamic(candidates, bleu, tuned=None, **options):
    """(the target's choice for candidates [B, K, T], references that hold them)."""
    proxy = families.load("target", "dynamic", **options)
    return proxy, References(candidates[:, -1], candidates, bleu, tuned)


def test_dynamic_kd_weighs_likelihood_against_distortion(foreseen):
    """Two candidates: 4 5, of 1 bit a token, and 6 7, of 3; S of one against the other is 20. With γ = (1, 0) the first
    has distortion -β 100, the second -β 20; with γ = (0, 1) the other way round."""
    candidates = torch.tensor([[[4, 5], [6, 7]]])
    bleu = torch.tensor([[[100.0, 20.0], [20.0, 100.0]]])
    logits = logits_of([{4: 0.5, 6: 0.125, 9: 0.375}, {5: 0.5, 7: 0.125, 9: 0.375}])
    for gamma, beta, expected in (
        ([1.0, 0.0], 0.1, [4, 5]),  # 2 - 10 against 6 - 2
        ([0.0, 1.0], 0.1, [6, 7]),  # 2 - 2 against 6 - 10
        ([0.0, 1.0], 0.03, [4, 5]),  # 2 - 0.6 against 6 - 3
        ([0.0, 1.0], 0.06, [6, 7]),  # 2 - 1.2 against 6 - 6
    ):
        proxy, references = dynamic(candidates, bleu, torch.tensor(gamma), beta=beta)
        assert proxy(references, foreseen(logits)).tolist() == [expected]
        proxy, references = dynamic(candidates, bleu, beta=beta, gamma=gamma)
        assert proxy(references, foreseen(logits)).tolist() == [expected]


def test_dynamic_kd_of_bits_per_token_finds_likelihood_less_weighty(foreseen):
    candidates = torch.tensor([[[4, 5], [6, 7]]])
    bleu = torch.tensor([[[100.0, 20.0], [20.0, 100.0]]])
    logits = logits_of([{4: 0.5, 6: 0.125, 9: 0.375}, {5: 0.5, 7: 0.125, 9: 0.375}])
    proxy, references = dynamic(candidates, bleu, torch.tensor([0.0, 1.0]), beta=0.03, per="token")
    assert proxy(references, foreseen(logits)).tolist() == [[6, 7]]  # 1 - 0.6 against 3 - 3


def test_dynamic_kd_finds_likely_what_the_objective_does(foreseen):
    """4 5 is predicted as 5 4, and late: each candidate is the likeliest under one objective."""
    candidates = torch.tensor([[[4, 5], [6, 7]]])
    for objective, options, rows, expected in (
        ("xe", {}, [{4: 0.01, 5: 0.5, 6: 0.3}, {4: 0.5, 5: 0.01, 7: 0.3}], [6, 7]),
        ("oaxe", {}, [{4: 0.01, 5: 0.5, 6: 0.3}, {4: 0.5, 5: 0.01, 7: 0.3}], [4, 5]),
        ("xe", {}, [{BOS: 0.6, 4: 0.01, 6: 0.2}, {4: 0.5, 5: 0.3, 7: 0.2}], [6, 7]),
        ("axe", {"delta": 1.0}, [{BOS: 0.6, 4: 0.01, 6: 0.2}, {4: 0.5, 5: 0.3, 7: 0.2}], [4, 5]),
    ):
        proxy, references = dynamic(candidates, torch.zeros(1, 2, 2), regulariser=False)
        prediction = foreseen(logits_of(rows), objective=objective, **options)
        assert proxy(references, prediction).tolist() == [expected], objective


def test_dynamic_kd_decodes_only_what_can_still_win(foreseen):
    """The least distorted candidate costs 6 bits, and the other is less distorted than that by 8: it is not decoded."""
    candidates = torch.tensor([[[4, 5, 8], [6, 7, PAD]], [[4, 5, 8], [4, 5, 8]]])
    bleu = torch.tensor([[[100.0, 20.0], [20.0, 100.0]], [[100.0, 100.0], [100.0, 100.0]]])
    prediction = foreseen(logits_of([{6: 0.125, 9: 0.875}, {7: 0.125, 9: 0.875}, {8: 1.0}]).repeat(2, 1, 1))
    proxy, references = dynamic(candidates, bleu, beta=0.1, gamma=[0.0, 1.0])
    assert proxy(references, prediction).tolist() == [[6, 7, PAD], [4, 5, 8]]
    assert prediction.model.decoded == [(0, 2), (1, 3)]


@given(
    seed=st.integers(0, 10**6),
    regulariser=st.booleans(),
    per=st.sampled_from(["token", "sentence"]),
    beta=st.sampled_from([0.0, 0.002, 0.02, 0.2, "wmt14_ende"]),
    gamma=st.sampled_from(["tuned", "wmt17_zhen", [1.0, 2.0, 0.0, 0.5, 1.0]]),
    vocabulary=st.sampled_from([8, 1100]),  # of which the candidates' four words are much or little
)
def test_dynamic_kd_takes_the_least_of_equation_21_and_l_nat(foreseen, seed, regulariser, per, beta, gamma, vocabulary):
    torch.manual_seed(seed)
    lengths = torch.randint(1, 5, (4, 5))
    candidates = torch.randint(4, 7, (4, 5, int(lengths.max())))
    candidates = candidates.masked_fill(torch.arange(candidates.shape[2]) >= lengths[..., None], PAD)
    candidates[:, 1] = candidates[:, 3]  # some are the same
    bleu, tuned, logits = 100 * torch.rand(4, 5, 5), torch.rand(5), 2 * torch.randn(4, candidates.shape[2], vocabulary)
    proxy, references = dynamic(candidates, bleu, tuned, beta=beta, gamma=gamma, regulariser=regulariser, per=per)
    found = proxy(references, foreseen(logits))
    weights = {"tuned": tuned.tolist(), "wmt17_zhen": [0.9, 1.4, 1.3, 0.9, 2.0]}.get(str(gamma), gamma)
    factor = regulariser * (0.2 if beta == "wmt14_ende" else beta)
    for b in range(4):
        costs = []
        for j in range(5):
            tokens = candidates[b, j, : candidates[b, j].ne(PAD).sum()].tolist()
            bits = nll(tokens, logits[b]) / torch.tensor(2.0).log().item()
            distortion = -factor * sum(weights[i] * bleu[b, i, j].item() for i in range(5))
            costs.append((bits / len(tokens) if per == "token" else bits) + distortion)
        chosen = (candidates[b] == found[b]).all(1).nonzero()[:, 0].tolist()
        assert min(costs[j] for j in chosen) == pytest.approx(min(costs), abs=1e-3)
