"""Tiny COMET and BLEURT models of random weights, what their libraries say of some sentences, and what `natlab score`
does. A program for Python with the packages of requirements-metrics.lock: its arguments are a folder that holds
``samples.json``, and the command lines of `natlab` as JSON."""

import json
import os
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

import sentencepiece
import torch
import transformers
import yaml
from bleurt_pytorch import BleurtConfig, BleurtForSequenceClassification, BleurtTokenizer
from bleurt_pytorch.bleurt.tokenization_bleurt_sp import BleurtSPTokenizer
from comet import load_from_checkpoint
from comet.models import RegressionMetric

from natlab import cli

root, commands = Path(sys.argv[1]), json.loads(sys.argv[2])
samples = json.loads((root / "samples.json").read_text(encoding="utf-8"))
size = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
LONGEST = 32  # some pairs of sentences are longer for BLEURT


def subwords(prefix: Path, **options: int) -> None:
    """Learn subwords of the samples and save them under this name."""
    prefix.parent.mkdir(parents=True)
    text = root / "text.txt"
    text.write_text("\n".join(line for sample in samples for line in sample.values()), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(prefix), vocab_size=60, hard_vocab_limit=False, minloglevel=2, **options
    )


def make_comet(folder: Path, encoder: Path) -> None:
    """As wmt22-comet-da is published, whose checkpoint has the encoder's name, but hparams.yaml names a folder."""
    subwords(encoder / "sentencepiece.bpe")
    tokenizer = transformers.XLMRobertaTokenizer(str(encoder / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(encoder)
    vocabulary = {"vocab_size": len(tokenizer), "pad_token_id": 1, "max_position_embeddings": 64}
    transformers.XLMRobertaConfig(**vocabulary, initializer_range=1.0, **size).save_pretrained(encoder)
    model = RegressionMetric(
        encoder_model="XLM-RoBERTa", pretrained_model=str(encoder), load_pretrained_weights=False,
        local_files_only=True, hidden_sizes=[16], layer="mix",
    )  # fmt: skip
    (folder / "checkpoints").mkdir(parents=True)
    settings = dict(model.hparams)
    (folder / "hparams.yaml").write_text(yaml.safe_dump({**settings, "class_identifier": "regression_metric"}))
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": {**settings, "pretrained_model": "xlm-roberta-large"},
        "pytorch-lightning_version": "1.8.2",
    }
    torch.save(checkpoint, folder / "checkpoints/model.ckpt")


def make_bleurt(folder: Path) -> None:
    subwords(folder / "spm", pad_id=0, unk_id=1, bos_id=2, eos_id=3)
    tokenizer = BleurtSPTokenizer(str(folder / "spm.model"))
    tokenizer.save_pretrained(folder)
    vocabulary = {"vocab_size": len(tokenizer), "embedding_size": 4, "max_position_embeddings": LONGEST}
    config = BleurtConfig(**vocabulary, num_labels=1, initializer_range=1.0, **size)
    BleurtForSequenceClassification(config).save_pretrained(folder)


def by_comet(folder: Path) -> list[float]:
    model = load_from_checkpoint(str(folder / "checkpoints/model.ckpt"), reload_hparams=True)
    return model.predict(samples, batch_size=1, gpus=0, progress_bar=False)["scores"]


def by_bleurt(folder: Path) -> list[float]:
    model = BleurtForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = BleurtTokenizer.from_pretrained(folder)
    found = []
    for sample in samples:
        given = tokenizer(sample["ref"], sample["mt"], truncation=True, max_length=LONGEST, return_tensors="pt")
        with torch.no_grad():
            found.append(model(**given).logits.item())
    return found


torch.manual_seed(1)
make_comet(root / "tiny-comet", root / "encoder")
make_bleurt(root / "tiny-bleurt")
direct = {"comet": by_comet(root / "tiny-comet"), "bleurt": by_bleurt(root / "tiny-bleurt")}
(root / "direct.json").write_text(json.dumps(direct))
for command in commands:
    assert cli.main(command) == 0
