"""The matrix products of a step, which the floor of its time is made of."""

import sys
from collections import Counter

import pytest
import torch
from benchmarks.graph_step import Products, aten

from natlab.kernels.output_match import _output_match


def shapes(products):
    """How often there are factors of which shapes."""
    found = Counter()
    for (_, factors), count in products.found.items():
        found[tuple(shape for shape, _, _ in factors)] += count
    return found


@pytest.mark.parametrize("grad", [True, False])
def test_each_product_of_a_layer_is_found_once(grad):
    """Forward; with a gradient those of its input and of its weight, too."""
    layer, x = torch.nn.Linear(3, 5), torch.randn(4, 3, requires_grad=True)
    with Products() as products, torch.inference_mode(not grad):
        out = layer(x)
        if grad:
            out.sum().backward()
    forward = {((4, 3), (3, 5)): 1}
    backward = {((4, 5), (5, 3)): 1, ((5, 4), (4, 3)): 1}
    assert shapes(products) == (forward | backward if grad else forward)
    assert products.floor(turns=1) > 0


def test_products_within_our_own_ops_are_found(monkeypatch):
    """Logits of 2 x 4 vertices over 6 words; queries and keys of 3 heads, of whose product a half is needed."""
    hidden, weight, tokens = torch.randn(2, 4, 3), torch.randn(6, 3), torch.ones(2, 2, dtype=torch.int64)
    lengths, said = torch.tensor([4, 4]), torch.tensor([2, 2])
    # without a build of the kernels: what these make of logits is left out, of links there are shapes alone
    module = sys.modules["natlab.kernels.output_match"]
    monkeypatch.setattr(module, "gather_from", lambda *_: None)
    query, key, gates, vertices = (
        torch.empty(shape, device="meta") for shape in ((2, 4, 3, 2), (2, 4, 3, 2), (2, 4, 3), (2,))
    )
    with Products() as products:
        _output_match(hidden, weight, tokens, lengths, said)
        torch.ops.natlab.dag_links(query, key, gates, vertices.long(), 0)
    assert shapes(products) == {((8, 3), (3, 6)): 1, ((6, 4, 2), (6, 2, 4)): 0.5}
    assert {product for product, _ in products.found} == {aten.mm, aten.bmm}
