"""Does a translation depend on its batch? Counts the sentences that batches of 1, 7 and 128 translate differently.

python -m benchmarks.batches --data results/corpora/multi30k_ende/bin --models results/models/.../model.pt ...
"""

import argparse
import json

from natlab.decoding import decode_corpus
from natlab.measuring.data import Data
from natlab.models.load import load

DECODINGS = {
    "transformer": {"beam5": {"kind": "beam", "beam": 5}, "greedy": {"kind": "beam", "beam": 1}},
    "nat": {
        "argmax": {"kind": "argmax"},
        "lpd3": {"kind": "argmax", "length_candidates": 3, "deduplicate": True},
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--models", required=True, nargs="+")
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    sources = Data(args.data).sources(args.split)
    for path in args.models:
        model, _ = load(path)
        for name, decoding in DECODINGS[model.name].items():
            one, *others = (
                [target.tolist() for target in decode_corpus(model, sources, decoding, 10**9, size)]
                for size in (1, 7, 128)
            )
            differing = sum(any(other[i] != one[i] for other in others) for i in range(len(one)))
            print(json.dumps({"model": path, "decoding": name, "sentences": len(one), "differing": differing}))


if __name__ == "__main__":
    main()
