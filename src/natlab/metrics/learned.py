"""Scores that a model was trained to give: COMET and BLEURT, by the libraries of ``requirements-metrics.lock``.

They are no members of `natlab.metrics.scores`. Those are scored wherever a dataset names them, with what natlab itself
runs on; these take models that only a user can name, and packages that natlab cannot have (unbabel-comet needs
numpy < 2), so they are scored by a process of their own (`natlab.measuring.learned`) into measurements of their own:
naming a model measures nothing else anew.

Each is called with N sources, N translations and N references, plain text, and returns N values. A model is a folder as
it is published; nothing is downloaded.
"""

import os
from collections.abc import Callable
from pathlib import Path

from natlab.errors import UserError

BATCH = 16  # sentences; of similar length


def comet(model: Path, sources: list[str], translations: list[str], references: list[str]) -> list[float]:
    """COMET (Rei et al. 2020): ``model`` holds ``hparams.yaml`` and ``checkpoints/model.ckpt``, as wmt22-comet-da does.

    Its encoder's tokeniser and configuration, no part of it, are those of the folder that ``pretrained_model`` in
    hparams.yaml names, or of the Hugging Face cache.
    """
    checkpoint, settings = _part(model, "checkpoints/model.ckpt"), _part(model, "hparams.yaml")
    import torch
    import yaml
    from comet import load_from_checkpoint

    encoder = yaml.safe_load(settings.read_text(encoding="utf-8"))["pretrained_model"]
    try:
        # the checkpoint has its own copy of the settings, where the encoder is a name
        scorer = load_from_checkpoint(str(checkpoint), reload_hparams=Path(encoder).is_dir(), local_files_only=True)
    except OSError as error:
        raise UserError(
            f"{model}: no tokeniser and configuration of its encoder {encoder} ({str(error).splitlines()[0]}); put "
            "them into the Hugging Face cache, or their folder's path into hparams.yaml as pretrained_model"
        ) from None
    samples = [
        {"src": source, "mt": translation, "ref": reference}
        for source, translation, reference in zip(sources, translations, references, strict=True)
    ]
    gpus = int(torch.cuda.is_available())
    return scorer.predict(samples, batch_size=BATCH, gpus=gpus, progress_bar=False, num_workers=0)["scores"]


def bleurt(model: Path, sources: list[str], translations: list[str], references: list[str]) -> list[float]:
    """BLEURT (Sellam et al. 2020; BLEURT-20: Pu et al. 2021), which reads no sources: ``model`` holds BLEURT-20 in
    PyTorch's form.

    The original is TensorFlow's, whose Python package is no longer kept. bleurt-pytorch (Di Liello) is the same network
    with the same weights, converted; its own converter compares the scores of both.
    """
    _part(model, "config.json")
    import torch
    from bleurt_pytorch import BleurtForSequenceClassification, BleurtTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    scorer = BleurtForSequenceClassification.from_pretrained(model, local_files_only=True).eval().to(device)
    tokenise = BleurtTokenizer.from_pretrained(model, local_files_only=True)
    longest = scorer.config.max_position_embeddings
    order = sorted(range(len(references)), key=lambda n: len(references[n]) + len(translations[n]))
    found: dict[int, float] = {}
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        texts = [references[n] for n in batch], [translations[n] for n in batch]
        given = tokenise(*texts, padding="longest", truncation=True, max_length=longest, return_tensors="pt")
        with torch.inference_mode():
            scores = scorer(**given.to(device)).logits.flatten().tolist()
        found.update(zip(batch, scores, strict=True))
    return [found[n] for n in range(len(order))]


# By metric: the score, and the package that gives it.
SCORERS: dict[str, tuple[Callable[..., list[float]], str]] = {
    "comet": (comet, "unbabel-comet"),
    "bleurt": (bleurt, "bleurt-pytorch"),
}


def score(metric: str, model: Path, sources: list[str], translations: list[str], references: list[str]) -> list[float]:
    """The values [N] of a metric, in per cent, as papers print them. UserError where the model is incomplete."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    of, _ = SCORERS[metric]
    return [100 * value for value in of(model, sources, translations, references)]


def _part(model: Path, name: str) -> Path:
    path = model / name
    if not path.is_file():
        raise UserError(f"{path}: no such file; name the folder of a whole model")
    return path
