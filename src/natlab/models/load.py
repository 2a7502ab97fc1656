"""Models as files: published whole, with all that is needed to build them again, loaded weights-only."""

import importlib
from pathlib import Path

import torch

from natlab.errors import UserError
from natlab.files import written_aside
from natlab.models import architectures
from natlab.models.transformer import Config, TwoSided


def build(description: dict) -> TwoSided:
    """A model with fresh parameters from its ``architecture`` (name and options) and the fields of `Config`."""
    config = dict(description)
    options = dict(config.pop("architecture"))
    made = architectures.of(options).model
    architecture = importlib.import_module(f"natlab.models.{options.pop('name')}")  # which only such a model imports
    return getattr(architecture, made)(Config(**config), **options)


def publish(path: str | Path, model: TwoSided, provenance: dict) -> None:
    """Write a model's parameters, description and provenance; the file appears only when it is whole."""
    with written_aside(path, "wb") as file:
        torch.save(
            {"description": model.description(), "parameters": model.state_dict(), "provenance": provenance}, file
        )


def load(path: str | Path, device: str | torch.device = "cpu", precision: str = "fp32") -> tuple[TwoSided, dict]:
    """A published model, ready to decode in ``precision``, and its provenance. UserError where the file is not one."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        model = build(saved["description"])
        model.load_state_dict(saved["parameters"])
    except Exception as error:  # torch raises many kinds for a damaged file
        problem = type(error).__name__
        raise UserError(f"{path}: not a whole natlab model ({problem}); delete it and train again") from error
    model.encoder.precision = precision
    return model.eval().to(device), saved["provenance"]
