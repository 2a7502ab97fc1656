"""What COMET's and BLEURT's libraries are asked, by stand-ins; tests/measuring/test_learned.py asks the libraries."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from natlab.metrics import learned

COUNT = learned.BATCH + 3  # more than a batch
SOURCES = [f"s{n}" for n in range(COUNT)]
TRANSLATIONS = ["x" * (1 + 7 * n % 11) for n in range(COUNT)]
REFERENCES = ["y" * (1 + 5 * n % 13) for n in range(COUNT)]
PLACES = {
    translation + reference: n for n, (translation, reference) in enumerate(zip(TRANSLATIONS, REFERENCES, strict=True))
}
assert len(PLACES) == COUNT


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Each test's own: scoring says that nothing is to be downloaded."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.mark.parametrize("folder", [True, False])
def test_comet_gets_triples_and_its_own_checkpoint_and_nothing_is_downloaded(tmp_path, monkeypatch, folder):
    """Its encoder is the folder that hparams.yaml names, or the one that the checkpoint does."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/model.ckpt").touch()
    encoder = tmp_path / "encoder"
    if folder:
        encoder.mkdir()
    (tmp_path / "hparams.yaml").write_text(f"pretrained_model: {encoder}\n")
    asked = {}

    class Scorer:
        def predict(self, samples, **options):
            asked.update(samples=samples, options=options)
            return {"scores": [n / 100 for n in range(len(samples))]}

    def load(path, **options):
        asked.update(path=path, loading=options)
        return Scorer()

    monkeypatch.setitem(sys.modules, "comet", SimpleNamespace(load_from_checkpoint=load))
    found = learned.score("comet", tmp_path, SOURCES, TRANSLATIONS, REFERENCES)
    assert found == pytest.approx(range(COUNT)), "in per cent"
    assert asked["path"] == str(tmp_path / "checkpoints/model.ckpt")
    assert asked["loading"] == {"reload_hparams": folder, "local_files_only": True}
    assert [(of["src"], of["mt"], of["ref"]) for of in asked["samples"]] == list(
        zip(SOURCES, TRANSLATIONS, REFERENCES, strict=True)
    )
    gpus = int(torch.cuda.is_available())
    assert asked["options"] == {"batch_size": learned.BATCH, "gpus": gpus, "progress_bar": False, "num_workers": 0}
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
    with pytest.raises(ValueError, match="shorter|longer"):
        learned.score("comet", tmp_path, SOURCES[1:], TRANSLATIONS, REFERENCES)


def test_bleurt_gets_pairs_in_batches_of_like_length_and_scores_come_back_in_order(tmp_path, monkeypatch):
    (tmp_path / "config.json").touch()
    batches = []

    class Given(dict):
        def to(self, device):
            return self

    class Tokenizer:
        @classmethod
        def from_pretrained(cls, model: Path, local_files_only: bool):
            assert model == tmp_path and local_files_only is True
            return cls()

        def __call__(self, references, translations, **options):
            assert options == {"padding": "longest", "truncation": True, "max_length": 32, "return_tensors": "pt"}
            batches.append([len(of) + len(other) for of, other in zip(references, translations, strict=True)])
            places = [PLACES[other + of] for of, other in zip(references, translations, strict=True)]
            return Given(places=torch.tensor(places, dtype=torch.double))

    class Model(torch.nn.Module):
        config = SimpleNamespace(max_position_embeddings=32)

        @classmethod
        def from_pretrained(cls, model: Path, local_files_only: bool):
            assert model == tmp_path and local_files_only is True
            return cls()

        def forward(self, places):
            assert not self.training
            return SimpleNamespace(logits=places[:, None] / 100)

    library = SimpleNamespace(BleurtForSequenceClassification=Model, BleurtTokenizer=Tokenizer)
    monkeypatch.setitem(sys.modules, "bleurt_pytorch", library)
    found = learned.score("bleurt", tmp_path, SOURCES, TRANSLATIONS, REFERENCES)
    assert found == pytest.approx(range(COUNT))
    assert [len(batch) for batch in batches] == [learned.BATCH, 3]
    lengths = [length for batch in batches for length in batch]
    assert lengths == sorted(lengths)
