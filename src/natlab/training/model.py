"""Our models under fairseq's name and interface."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model

from natlab import families
from natlab.errors import UserError
from natlab.models import architectures, precision
from natlab.models.layers import draw_normal
from natlab.models.load import build, load
from natlab.models.transformer import TwoSided


def description(spec: dict, source: Sequence[str], target: Sequence[str]) -> dict:
    """What `natlab.models.load.build` needs, from a training spec and the words of the vocabularies, special symbols
    among them. Its precision is the one that this machine trains in."""
    architecture = dict(spec["architecture"])
    if "encoder" in architecture:
        shape = families.load("encoder", **architecture["encoder"]).described(spec["languages"], (source, target))
        architecture["encoder"] = {**architecture["encoder"], "shape": shape}
    if "parallel" in architectures.of(architecture).offers:
        architecture["blank"] = any(
            families.trait(family, spec[family]["name"], "blank") for family in ("target", "objective")
        )
    return {
        "architecture": architecture,
        **spec["size"],
        "dropout": spec["training"]["dropout"],
        "precision": precision.arithmetic(spec["training"]["precision"], torch.cuda.is_available()),
        "source_vocabulary": len(source),
        "target_vocabulary": len(target),
        "joint_vocabulary": spec["joint_vocabulary"],
    }


CODEBOOK = "codebook."
NEW = ("masking.", CODEBOOK)  # what the model to start from need not have
ENCODER = ("encoder.", "embedding.")


def start_from(model: TwoSided, path: str, encoder: bool = False) -> bool:
    """Give a model the parameters of a published one, and return whether that is of its own architecture: then all of
    them, but for what it may have anew, a masking head or a codebook. Of another architecture's it takes the codebook
    and, if asked to, the ``encoder`` with its embeddings. UserError where they do not fit."""
    started, _ = load(path)
    theirs, ours = started.state_dict(), model.state_dict()
    same = started.name == model.name
    if same:
        wanted = {name for name in ours if name in theirs or not name.startswith(NEW)}
    else:
        # layers around the codes lead to the model's own width
        around = {name for name in ours if name.startswith(("codebook.inward.", "codebook.outward."))}
        wanted = {name for name in ours if name.startswith(CODEBOOK)} - around
        if encoder:
            wanted |= {name for name in theirs if name.startswith(ENCODER)}
    unfit = [name for name in sorted(wanted) if name not in ours or name not in theirs]
    unfit += [
        name for name in sorted(wanted) if name in ours and name in theirs and ours[name].shape != theirs[name].shape
    ]
    if unfit or not wanted:
        what = unfit[0] if unfit else "neither has a codebook"
        raise UserError(f"{path}: another kind of model than the one that starts from it ({what}); train it again")
    model.load_state_dict({name: theirs[name] for name in wanted}, strict=False)
    return same


@dataclass
class NatlabModelConfig(FairseqDataclass):
    """Nothing: the task's spec says it all."""


@register_model("natlab", dataclass=NatlabModelConfig)
class NatlabModel(BaseFairseqModel):
    """Holds one of `natlab.models` as ``net`` and counts updates. ``continues``: it starts from all of another model,
    so that it says from the first what that says."""

    def __init__(self, net: TwoSided, continues: bool = False):
        super().__init__()
        self.net, self.continues = net, continues
        self.updates = 0

    @classmethod
    def build_model(cls, cfg, task):
        net = build(description(task.spec, task.source_dictionary.symbols, task.target_dictionary.symbols))
        if task.spec["training"].get("init") == "normal":
            draw_normal(net)
        if "encoder" in task.spec["architecture"]:
            net.take_pretrained()
        encoder = families.member(task.spec.get("start", "")).get("encoder", False)
        return cls(net, bool(task.cfg.start) and start_from(net, task.cfg.start, encoder))

    def set_num_updates(self, num_updates):
        self.updates = num_updates

    def train(self, mode=True):
        """As torch's, but at once where it is so already: fairseq asks for it several times an update."""
        return self if self.training == mode else super().train(mode)

    def forward(self, *args, **kwargs):
        raise TypeError("the criterion works on the model's net")
