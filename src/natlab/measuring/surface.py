"""Log-likelihood and BLEU over the plane through three models' parameters, one row of a grid. The verb ``surface``.

MPLE's Figure 1. Coordinates as Garipov et al. (2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs")
draw such planes: the origin is the first model w1, the first axis points to the second, u = w2 - w1, the second at
right angles towards the third, v = (w3 - w1) - <w3 - w1, u> u / <u, u>; both are made of unit length, so that distances
in the figure are those between parameters. Every point of the plane is a linear interpolation of the three models.
"""

import argparse
import math
from pathlib import Path

from natlab.corpus.subwords import joined
from natlab.errors import UserError
from natlab.files import lines, write_json

MARGIN = 0.25  # beyond the three models, as a share of the distance between the outermost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``surface``."""
    parser.add_argument(
        "--models", required=True, nargs=3, help="the model at the origin, that on the first axis, a third"
    )
    parser.add_argument("--data", required=True, help="fairseq data folder of the corpus (raw targets)")
    parser.add_argument(
        "--references", required=True, help="the tokenised targets of the validation set, tok/valid.tgt"
    )
    parser.add_argument("--row", required=True, type=int, help="the row of the grid, from 1 at the bottom")
    parser.add_argument("--grid", required=True, type=int, help="how many rows and columns the grid has")
    parser.add_argument("--sentences", required=True, type=int, help="the first so many of the validation set")
    parser.add_argument("--out", required=True, help="the JSON file to write")


def plane(vectors: list) -> tuple[tuple, list[tuple[float, float]]]:
    """((u, v), coordinates): the plane's unit axes and each of the three parameter vectors [P] in them, as above.

    ValueError where the three are on one line.
    """
    first, second = (vector - vectors[0] for vector in vectors[1:])
    length = first.norm()
    if length == 0:
        raise ValueError("the second model is the first")
    u = first / length
    along = second @ u
    across = second - along * u
    height = across.norm()
    if height <= 1e-6 * second.norm():
        raise ValueError("the three models are on one line")
    return (u, across / height), [(0.0, 0.0), (float(length), 0.0), (float(along), float(height))]


def axis(values: list[float], grid: int) -> list[float]:
    """``grid`` coordinates, evenly from the lowest of ``values`` to the highest, with a margin on both sides."""
    low, high = min(values), max(values)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    return [low + (high - low) * i / (grid - 1) for i in range(grid)]


def run(args: argparse.Namespace) -> None:
    """Write the points of one row: coordinates, log-likelihood (bits a token), tokenised BLEU. UserError for models
    that span no plane or have other parameters than the first."""
    import torch

    from natlab.decoding import decode_corpus
    from natlab.losses.batch import Method
    from natlab.measuring.data import Data, device
    from natlab.measuring.losses import losses
    from natlab.metrics.bleu import tokenised_bleu
    from natlab.models.load import load
    from natlab.models.validation import PLAIN

    models = [load(path, device())[0] for path in args.models]
    names = [name for name, _ in models[0].named_parameters()]
    found = [dict(model.named_parameters()) for model in models]
    for path, parameters in zip(args.models, found, strict=True):
        if any(name not in parameters or parameters[name].shape != found[0][name].shape for name in names):
            raise UserError(
                f"{path}: its parameters are not those of {args.models[0]}; give models of one architecture"
            )
    vectors = [torch.cat([parameters[name].detach().flatten() for name in names]).double() for parameters in found]
    try:
        axes, at = plane(vectors)
    except ValueError as error:
        raise UserError(f"{', '.join(args.models)}: {error}; give three models trained apart") from None
    data = Data(args.data)
    count = min(args.sentences, len(data.sources("valid")))
    sources, targets = ([side[i] for i in range(count)] for side in (data.sources("valid"), data.targets("valid")))
    references = [joined(line) for line in lines(Path(args.references))][:count]  # of text that comes in BPE
    vanilla = Method.of(PLAIN)
    decoding = {"kind": "argmax", "length_candidates": 1, "length_factor": 1.0, "deduplicate": False}
    y = axis([point[1] for point in at], args.grid)[args.row - 1]
    points = []
    for x in axis([point[0] for point in at], args.grid):
        _set(found[0], names, vectors[0] + x * axes[0] + y * axes[1])
        loss = losses(models[0], sources, targets, vanilla)["loss"]["value"]
        texts = [data.text(target) for target in decode_corpus(models[0], sources, decoding)]
        bleu = tokenised_bleu(texts, [references])["value"]
        # a NAT far from all three may have no finite loss
        points.append({"x": x, "y": y, "log_likelihood": -loss if math.isfinite(loss) else None, "bleu": bleu})
    models_at = [{"x": x, "y": y} for x, y in at]
    write_json(args.out, {"models": models_at, "unit": "bits/token", "sentences": count, "points": points})


def _set(parameters: dict, names: list[str], vector) -> None:
    """Give a model the parameters that ``vector`` [P] holds one after another."""
    import torch

    sizes = [parameters[name].numel() for name in names]
    with torch.no_grad():
        for name, part in zip(names, vector.split(sizes), strict=True):
            parameters[name].copy_(part.view_as(parameters[name]))
