"""The canvas of codes."""

import pytest
import torch
from tests import plain

from natlab.models.fills.soft_copy import soft_copy
from natlab.models.transformer import Config

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 30, 30, True)
SOURCES = torch.tensor([[4, 5, 6, 7, 8, 2], [9, 10, 2, 1, 1, 1]])
LENGTHS = torch.tensor([5, 3])


def nat(**options):
    torch.manual_seed(0)
    return plain.nat(CONFIG, fill={"name": "codes", **options}, codebook={"name": "random", "size": 7}).eval()


@pytest.mark.parametrize("rest", ["mask", "copy"])
def test_positions_hold_their_code_or_the_rest(rest):
    """Of 5 and 3 positions 0.4 keep theirs: 2 and 1."""
    model = nat(rest=rest)
    source = model.encoder(SOURCES)
    copied = soft_copy(source.encoded, source.lengths, LENGTHS, 0.3, True)
    codes, kept = model.codebook(copied).states, model.fill.drawn(source, LENGTHS, 0.4)
    assert kept.sum(1).tolist() == [2, 1] and not kept[1, 3:].any()
    found = model.filled(source, LENGTHS, None, None)
    others = copied if rest == "copy" else model.fill.mask.expand_as(copied)
    assert torch.equal(found, torch.where(kept[:, :, None], codes, others))


def test_what_is_kept_and_in_which_order_can_be_said():
    model = nat()
    source = model.encoder(SOURCES)
    kept = torch.tensor([[True, False, True, True, False], [False, True, True, False, False]])
    order = torch.tensor([[4, 3, 2, 1, 0], [1, 1, 0, 3, 4]])
    codes = model.codebook(model.fill.copied(source, LENGTHS)).states
    found = model.filled(source, LENGTHS, kept, order)
    for row in range(2):
        for place in range(5):
            expected = codes[row, order[row, place]] if kept[row, place] else model.fill.mask
            assert torch.equal(found[row, place], expected)


def test_a_sentence_keeps_the_same_positions_in_any_batch():
    model = nat()
    together = model.fill.drawn(model.encoder(SOURCES), LENGTHS, 0.5)
    alone = model.fill.drawn(model.encoder(SOURCES[1:, :3]), LENGTHS[1:], 0.5)
    assert torch.equal(together[1:, :3], alone)


@pytest.mark.parametrize(("share", "kept"), [(0.0, [0, 0]), (0.6, [3, 1]), (1.0, [5, 3])])
def test_a_share_is_rounded_down_and_not_by_a_binary_digit(share, kept):
    model = nat()
    assert model.fill.drawn(model.encoder(SOURCES), LENGTHS, share).sum(1).tolist() == kept


def test_unscaled_as_printed_a_long_canvas_has_nothing_but_the_last_token_at_its_end():
    """Equation 21: |j - i| counts positions of the source and of the canvas alike, so that all from twice the source's
    length on are as far from each token and hold the same; scaled, the canvas runs through the source."""
    states = torch.eye(3)[None]
    lengths = torch.tensor([12])
    printed = soft_copy(states, torch.tensor([4]), lengths, 0.3, False)[0]
    scaled = soft_copy(states, torch.tensor([4]), lengths, 0.3, True)[0]
    torch.testing.assert_close(printed[2:], printed[2:3].expand(10, 3))
    assert printed[2:].argmax(1).eq(2).all()
    assert scaled.argmax(1).tolist() == [0] * 3 + [1] * 6 + [2] * 3
