"""All that fairseq 0.12.2 needs on today's Python, torch and numpy. Call `apply()` before the first import of fairseq.

Each item is gated by the version that made it necessary and says what it cures. Nothing here edits fairseq's files.
"""

import argparse
import dataclasses
import functools
import logging
import sys

import numpy
import torch


def _version(module) -> tuple[int, int]:
    major, minor = module.__version__.split(".")[:2]
    return int(major), int(minor)


def _hashable_dataclass_defaults() -> None:
    """Python 3.11 refuses unhashable defaults, and fairseq's and hydra 1.0.7's configs have dataclass instances there.

    `default_factory` would satisfy Python but breaks omegaconf 2.0.6: the default's class is made hashable by identity.
    """
    original = dataclasses._get_field

    @functools.wraps(original)
    def get_field(cls, name, annotation, *args):
        default = getattr(cls, name, dataclasses.MISSING)
        if isinstance(default, dataclasses.Field):
            default = default.default
        if dataclasses.is_dataclass(type(default)) and type(default).__hash__ is None:
            type(default).__hash__ = object.__hash__
        return original(cls, name, annotation, *args)

    dataclasses._get_field = get_field


def _allow_checkpoint_classes() -> None:
    """torch 2.6 loads weights only, and fairseq's checkpoints may hold an `argparse.Namespace`: allow that class."""
    torch.serialization.add_safe_globals([argparse.Namespace])


def _restore_numpy_aliases() -> None:
    """numpy 1.24 removed `np.int`, `np.float` and `np.bool`, which fairseq's `data_utils` and others still use."""
    for name, builtin in (("int", int), ("float", float), ("bool", bool)):
        if name not in numpy.__dict__:
            setattr(numpy, name, builtin)


def _disable_encoder_fast_path() -> None:
    """torch 2.0 changed `_transformer_encoder_layer_fwd`: fairseq's encoder dies at inference with "Mask Type should be
    defined". Its layers decide at construction whether they can use it; say no there."""
    from fairseq.modules.transformer_layer import TransformerEncoderLayerBase

    original = TransformerEncoderLayerBase.__init__

    @functools.wraps(original)
    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.can_use_fastpath = False

    TransformerEncoderLayerBase.__init__ = init


@functools.cache
def apply() -> None:
    """Make fairseq importable and usable; doing it twice does nothing."""
    if sys.version_info >= (3, 11):  # noqa: UP036 - says which version made it necessary
        _hashable_dataclass_defaults()
    if _version(torch) >= (2, 6):
        _allow_checkpoint_classes()
    if _version(numpy) >= (1, 24):
        _restore_numpy_aliases()
    # fairseq logs a line for each optional package it does not find
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.ERROR)
    if _version(torch) >= (2, 0):
        _disable_encoder_fast_path()
