"""Our models under fairseq's name and interface."""

from dataclasses import dataclass

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model

from natlab import families
from natlab.errors import UserError
from natlab.models import precision
from natlab.models.layers import draw_normal
from natlab.models.load import build, load
from natlab.models.transformer import Seq2Seq


def description(spec: dict, source_vocabulary: int, target_vocabulary: int) -> dict:
    """What `natlab.models.load.build` needs, from a training spec and the sizes of the vocabularies. Its precision is
    the one that this machine trains in."""
    architecture = dict(spec["architecture"])
    if architecture["name"] == "nat":
        architecture["blank"] = any(
            families.trait(family, spec[family]["name"], "blank") for family in ("target", "objective")
        )
    return {
        "architecture": architecture,
        **spec["size"],
        "dropout": spec["training"]["dropout"],
        "precision": precision.arithmetic(spec["training"]["precision"], torch.cuda.is_available()),
        "source_vocabulary": source_vocabulary,
        "target_vocabulary": target_vocabulary,
        "joint_vocabulary": spec["joint_vocabulary"],
    }


def start_from(model: Seq2Seq, path: str) -> None:
    """Give a model the parameters of a published one. What that has not got, a masking head, stays as it is. UserError
    where they do not fit."""
    started, _ = load(path)
    theirs = started.state_dict()
    ours = {name: value for name, value in model.state_dict().items() if not name.startswith("masking.")}
    unfit = [name for name, value in ours.items() if name not in theirs or theirs[name].shape != value.shape]
    if unfit:
        raise UserError(f"{path}: another kind of model than the one that starts from it ({unfit[0]}); train it again")
    model.load_state_dict(theirs, strict=False)


@dataclass
class NatlabModelConfig(FairseqDataclass):
    """Nothing: the task's spec says it all."""


@register_model("natlab", dataclass=NatlabModelConfig)
class NatlabModel(BaseFairseqModel):
    """Holds one of `natlab.models` as ``net`` and counts updates."""

    def __init__(self, net: Seq2Seq):
        super().__init__()
        self.net = net
        self.updates = 0

    @classmethod
    def build_model(cls, cfg, task):
        net = build(description(task.spec, len(task.source_dictionary), len(task.target_dictionary)))
        if task.spec["training"].get("init") == "normal":
            draw_normal(net)
        if task.cfg.start:
            start_from(net, task.cfg.start)
        return cls(net)

    def set_num_updates(self, num_updates):
        self.updates = num_updates

    def train(self, mode=True):
        """As torch's, but at once where it is so already: fairseq asks for it several times an update."""
        return self if self.training == mode else super().train(mode)

    def forward(self, *args, **kwargs):
        raise TypeError("the criterion works on the model's net")
