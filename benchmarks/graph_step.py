"""What a step of DA-Transformer costs beside its own matrix products alone and beside a vanilla NAT's, split by part.

    python -m benchmarks.graph_step --data results/corpora/multi30k_ende/bin

The vanilla NAT, GLAT and DAT train on the same batches in turn. Then each product of matrices of a DAT's step is done
again on tensors of the same shapes, strides and dtypes, nothing else between: that is the floor. What `dag_links`
multiplies is in it, too, as batched products of which a graph needs a half. Prints medians in milliseconds of CPU time,
the ratios, and the share of a step by kind of operation, as torch's profiler has it.
"""

import argparse
import copy
import itertools
import json
import logging
import statistics
import tempfile
from collections import Counter
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import natlab.config
from benchmarks.dynamic import now
from benchmarks.steps import measured, milliseconds
from benchmarks.training import trainer
from natlab.files import write_json
from natlab.kernels.output_match import _output_match, _output_match_backward

aten = torch.ops.aten
PRODUCTS = {aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.addmm_}
INSIDE = {  # ops that multiply matrices by torch
    torch.ops.natlab.output_match.default: _output_match,
    torch.ops.natlab.output_match_backward.default: _output_match_backward,
}
WHOLE = {aten.linear.default, aten.matmul.default}  # come as they are where there is no gradient
LINKS = {torch.ops.natlab.dag_links.default: 1, torch.ops.natlab.dag_links_backward.default: 3}  # products in each
# parts of a step by what the names of operations, of torch's or ours, contain; the first that fits
PARTS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "links": ("dag_links",),
    "sum over paths": ("dag_loss", "dag_best_path"),
    "log-probabilities of tokens": ("output_match", "gather_log_softmax"),
    "softmax of attention": ("softmax",),
    "layer normalisation": ("layer_norm",),
    "optimizer": ("Optimizer", "adam", "foreach", "norm"),
    "copies": ("copy", "cat", "contiguous", "clone", "pad"),
}


class Products(TorchDispatchMode):
    """Notes the products of matrices: the op, and shape, stride and dtype of each factor."""

    def __init__(self):
        super().__init__()
        self.found: Counter[tuple] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in INSIDE:
            with self:
                return INSIDE[func]._init_fn(*args)
        if func in LINKS:
            query = args[0]
            batch, length, heads, width = query.shape
            left, right = (batch * heads, length, width), (batch * heads, width, length)
            self.found[aten.bmm, ((left, None, query.dtype), (right, None, query.dtype))] += LINKS[func] / 2
        elif func in WHOLE:
            with self:
                return func.decompose(*args, **(kwargs or {}))
        elif func.overloadpacket in PRODUCTS:
            factors = tuple((tuple(x.shape), x.stride(), x.dtype) for x in args[-2:])
            self.found[aten.bmm if args[-1].dim() == 3 else aten.mm, factors] += 1
        return func(*args, **(kwargs or {}))

    def floor(self, turns: int = 5) -> float:
        """Milliseconds of all of them, each in the least of ``turns``."""
        total = 0.0
        for (product, factors), count in self.found.items():
            made = [
                torch.randn(shape).to(dtype)
                if stride is None
                else torch.randn(1 + sum((n - 1) * s for n, s in zip(shape, stride, strict=True)))
                .to(dtype)
                .as_strided(shape, stride)
                for shape, stride, dtype in factors
            ]
            spent = []
            for _ in range(turns):
                start = now()
                product(*made)
                spent.append(now() - start)
            total += 1000 * count * min(spent)
        return total


def split(events) -> dict[str, float]:
    """The share of each part in the time of all operations."""
    spent: Counter[str] = Counter()
    for event in events:
        part = next((part for part, names in PARTS.items() if any(name in event.key for name in names)), "rest")
        spent[part] += event.self_cpu_time_total
    return {part: round(spent[part] / spent.total(), 3) for part in [*PARTS, "rest"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="config/runs/codat_multi30k.yaml")
    parser.add_argument("--dataset", default="multi30k_ende")
    parser.add_argument("--data", required=True, help="a fairseq data folder")
    parser.add_argument("--systems", nargs="+", default=["vanilla_raw", "glat_raw", "dat_raw"], help="the DAT last")
    parser.add_argument("--width", type=int, help="d, with heads of 64 dimensions, instead of the scale's size")
    parser.add_argument("--batch-tokens", type=int, help="instead of the scale's")
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.disable(logging.WARNING)

    from natlab.training.train import fairseq_arguments

    run = natlab.config.load_file(args.run)
    specs = {system: run.spec(args.dataset, system, run.settings["seeds"][0]) for system in args.systems}
    for spec in specs.values():
        if args.width:
            spec["size"] |= {"d_model": args.width, "d_hidden": 4 * args.width, "heads": args.width // 64}
        if args.batch_tokens:
            spec["training"]["batch_tokens"] = args.batch_tokens
    vanilla, *_, dat = specs
    result = measured(milliseconds(specs, args.data, 0, args.updates), vanilla, args.updates)
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / "spec.json", specs[dat])
        one = trainer(fairseq_arguments(specs[dat], args.data, Path(folder)), natlab=True)
    one.begin_epoch(1)
    batches = one.get_train_iterator(epoch=1).next_epoch_itr(shuffle=True)
    first, *samples = itertools.islice(batches, 1 + args.updates)
    one.train_step([copy.copy(first)])
    ratios, floors = [], []
    for sample in samples:
        start = now()
        one.train_step([copy.copy(sample)])
        spent = 1000 * (now() - start)
        with Products() as products:
            one.train_step([copy.copy(sample)])
        floors.append(products.floor())
        ratios.append(spent / floors[-1])
    with torch.profiler.profile() as profiled:
        for sample in samples:
            one.train_step([copy.copy(sample)])
    result |= {
        "ms_of_products": statistics.median(floors),
        "over_products": statistics.median(ratios),
        "share_by_part": split(profiled.key_averages()),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
