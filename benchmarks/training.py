"""Training and distillation against stock fairseq 0.12.2, on the same batches and sentences, in alternation.

    python -m benchmarks.training train --run config/runs/multi30k_tiny.yaml --dataset multi30k_ende
    python -m benchmarks.training distil --model results/models/.../transformer/seed1/model.pt --data
    results/corpora/.../bin

`train`: one epoch of the run's teacher, each side by its own trainer, batch by batch in turn, so a machine that slows
down slows all; prints tokens/s (target tokens, eos counted, as fairseq counts), their ratios and the validation losses
(bits a token). Stock is fairseq's Transformer, label-smoothed cross-entropy and Adam with nothing but `natlab.compat`.
`distil`: beam 5 over the training side's first sentences, in chunks, in turn; prints
sentences/s, the ratio, and the BLEU of our output against stock's. Both run on the GPU where there is one.
"""

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from importlib.machinery import FileFinder
from math import log
from pathlib import Path

import sacrebleu
import torch

from natlab import compat
from natlab.files import write_json


def trainer(arguments: list[str], natlab: bool):
    """A trainer with its task and data loaded, natlab's or fairseq's own, for a `fairseq-train` command line."""
    compat.apply()
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.trainer import Trainer

    from natlab.training.loop import CheckedTrainer, settings

    if natlab:
        kind, config = CheckedTrainer, settings(arguments)
    else:
        if not hasattr(FileFinder, "find_module"):  # which Python 3.12 has no more, and stock's Hydra 1.0 asks for
            FileFinder.find_module = lambda self, name: (spec := self.find_spec(name)) and spec.loader
        parsed = options.parse_args_and_arch(options.get_training_parser(), arguments)
        kind, config = Trainer, convert_namespace_to_omegaconf(parsed)
    task = tasks.setup_task(config.task)
    torch.manual_seed(config.common.seed)
    model, criterion = task.build_model(config.model), task.build_criterion(config.criterion)
    for split in ("train", "valid"):
        task.load_dataset(split)
    return kind(config, task, model, criterion)


def now() -> float:
    """Seconds on the clock, once the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def stock_arguments(spec: dict, data: str, folder: str, *more: str) -> list[str]:
    """The command line of stock `fairseq-train` for the same training."""
    training, size = spec["training"], spec["size"]
    arguments = [
        data, "--task", "translation", "--source-lang", "src", "--target-lang", "tgt", "--arch", "transformer",
        "--criterion", "label_smoothed_cross_entropy", "--label-smoothing", str(training["label_smoothing"]),
        "--optimizer", "adam", "--adam-betas", "(0.9, 0.98)", "--adam-eps", "1e-9", "--lr", str(training["lr"]),
        "--weight-decay", str(training["weight_decay"]), "--clip-norm", str(training["clip_norm"]),
        "--lr-scheduler", "inverse_sqrt", "--warmup-updates", str(training["warmup"]), "--warmup-init-lr", "1e-7",
        "--max-tokens", str(training["batch_tokens"]), "--max-update", str(training["updates"]),
        "--dropout", str(training["dropout"]), "--seed", str(spec["seed"]), "--save-dir", folder,
        "--num-workers", "0", "--skip-invalid-size-inputs-valid-test", "--distributed-world-size", "1", *more,
    ]  # fmt: skip
    if not torch.cuda.is_available():
        arguments.append("--cpu")
    for side in ("encoder", "decoder"):
        arguments += [f"--{side}-embed-dim", str(size["d_model"]), f"--{side}-ffn-embed-dim", str(size["d_hidden"])]
        arguments += [f"--{side}-layers", str(size[f"{side}_layers"])]
        arguments += [f"--{side}-attention-heads", str(size["heads"])]
    return arguments + ["--share-all-embeddings"] * spec["joint_vocabulary"]


def validation_bits(trained) -> float:
    """Unsmoothed cross-entropy of the validation targets, eos counted as a token, in bits a token."""
    nll = tokens = 0.0
    for sample in trained.get_valid_iterator("valid").next_epoch_itr(shuffle=False):
        sample, _ = trained._prepare_sample(sample)
        with torch.no_grad():
            trained.model.eval()
            _, _, logged = trained.criterion(trained.model, sample)
        nll += float(logged.get("sum of nll_loss", logged.get("nll_loss")))
        tokens += sample["ntokens"]
    return nll / tokens / log(2)


def trainers(spec: dict, data: str, names: Sequence[str]) -> dict:
    """{name: trainer} of the same training: "stock" or "natlab", each as its default is or with its precision."""
    from natlab.training.train import fairseq_arguments

    made = {}
    for name in names:
        side, _, precision = name.partition(" ")
        with tempfile.TemporaryDirectory() as folder:
            if side == "stock":
                made[name] = trainer(stock_arguments(spec, data, folder, *["--bf16"] * (precision == "bf16")), False)
                continue
            own = spec["training"] | ({"precision": precision} if precision else {})
            write_json(Path(folder) / "spec.json", {**spec, "training": own})
            made[name] = trainer(fairseq_arguments(spec, data, Path(folder)), True)
    return made


def training(sides: dict, updates: int | None = None, skip: int = 0) -> dict:
    """What `train` prints of `trainers`, the last of which gives the batches: at most ``updates``, after ``skip`` that
    do not count."""
    seconds = dict.fromkeys(sides, 0.0)
    tokens = made = 0
    for trained in sides.values():
        trained.begin_epoch(1)
    *others, ours = sides
    for sample in sides[ours].get_train_iterator(epoch=1).next_epoch_itr(shuffle=True):
        if updates is not None and made == skip + updates:
            break
        for name, trained in sides.items():
            start = now()
            trained.train_step([sample])
            seconds[name] += (now() - start) * (made >= skip)
        tokens += sample["ntokens"] * (made >= skip)
        made += 1
    return {
        "updates": made - skip,
        "tokens_per_second": {name: tokens / spent for name, spent in seconds.items()},
        "ratio": {name: seconds[name] / seconds[ours] for name in others},
        "validation_bits": {name: validation_bits(trained) for name, trained in sides.items()},
        "precision": sides[ours].model.net.config.precision,
    }


def train(args: argparse.Namespace) -> dict:
    import natlab.config

    run = natlab.config.load_file(args.run)
    spec = run.spec(args.dataset, run.reference, run.settings["seeds"][0])
    return training(trainers(spec, f"results/corpora/{args.dataset}/bin", ("stock", "natlab")), args.updates)


def distil(args: argparse.Namespace) -> dict:
    from natlab.measuring.data import device
    from natlab.models.load import load

    return distillation(load(args.model, device())[0], args.data, args.sentences, args.chunk, args.batch_tokens)


def distillation(model, folder: str, sentences: int, chunk: int, batch_tokens: int) -> dict:
    """What `distil` prints of a Transformer of ours and the first sentences of a data folder."""
    from natlab.decoding import decode_corpus
    from natlab.measuring.data import Data

    data = Data(folder)
    from fairseq import utils
    from fairseq.data import data_utils
    from fairseq.data.language_pair_dataset import LanguagePairDataset
    from fairseq.sequence_generator import SequenceGenerator

    from benchmarks.stock import into_fairseq, stock_transformer

    theirs = stock_transformer(model.config, data.target)
    into_fairseq(model, theirs)
    theirs.to(model.device)
    generator = SequenceGenerator([theirs], data.target, beam_size=5, max_len_a=1, max_len_b=50)
    sources = data.sources("train")

    def stock(chosen: range) -> list[str]:
        texts = [sources[i] for i in chosen]
        dataset = LanguagePairDataset(
            texts, [len(source) for source in texts], data.source, left_pad_source=False, shuffle=False
        )
        found = {}
        batches = data_utils.batch_by_size(dataset.ordered_indices(), dataset.num_tokens, max_tokens=batch_tokens)
        for batch in batches:
            sample = dataset.collater([dataset[i] for i in batch])
            identities = sample["id"].tolist()
            if model.device.type == "cuda":
                sample = utils.move_to_cuda(sample)
            for i, hypotheses in zip(identities, generator.generate([theirs], sample), strict=True):
                found[i] = data.text(hypotheses[0]["tokens"])
        return [found[i] for i in range(len(texts))]

    def ours(chosen: range) -> list[str]:
        beam5 = {"kind": "beam", "beam": 5}
        return [data.text(target) for target in decode_corpus(model, [sources[i] for i in chosen], beam5, batch_tokens)]

    seconds, outputs = {"stock": 0.0, "natlab": 0.0}, {"stock": [], "natlab": []}
    for first in range(0, sentences, chunk):
        chosen = range(first, min(first + chunk, sentences))
        for name, decoder in (("stock", stock), ("natlab", ours)):
            start = now()
            outputs[name] += decoder(chosen)
            seconds[name] += now() - start
    same = sum(a == b for a, b in zip(*outputs.values(), strict=True))
    return {
        "sentences": sentences,
        "sentences_per_second": {name: sentences / spent for name, spent in seconds.items()},
        "ratio": seconds["stock"] / seconds["natlab"],
        "bleu_against_stock": sacrebleu.corpus_bleu(
            outputs["natlab"], [outputs["stock"]], tokenize="none", force=True
        ).score,
        "identical": same / sentences,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    epoch = kinds.add_parser("train")
    epoch.add_argument("--run", default="config/runs/multi30k_tiny.yaml")
    epoch.add_argument("--dataset", default="multi30k_ende")
    epoch.add_argument("--updates", type=int, help="stop after so many; default: one epoch")
    distillation = kinds.add_parser("distil")
    distillation.add_argument("--model", required=True)
    distillation.add_argument("--data", required=True)
    distillation.add_argument("--sentences", type=int, default=4000)
    distillation.add_argument("--chunk", type=int, default=1000)
    distillation.add_argument("--batch-tokens", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.disable(logging.WARNING)
    result = {"train": train, "distil": distil}[args.kind](args)
    print(json.dumps({"threads": args.threads, "torch": torch.__version__, **result}, indent=1))


if __name__ == "__main__":
    main()
