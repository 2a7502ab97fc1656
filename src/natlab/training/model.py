"""Our models under fairseq's name and interface."""

from dataclasses import dataclass

from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model

from natlab.models.load import build
from natlab.models.transformer import Seq2Seq


def description(spec: dict, source_vocabulary: int, target_vocabulary: int) -> dict:
    """What `natlab.models.load.build` needs, from a training spec and the sizes of the vocabularies."""
    model = {
        "architecture": spec["architecture"],
        **spec["size"],
        "dropout": spec["training"]["dropout"],
        "precision": spec["training"]["precision"],
        "source_vocabulary": source_vocabulary,
        "target_vocabulary": target_vocabulary,
        "joint_vocabulary": spec["joint_vocabulary"],
    }
    if spec["architecture"] == "nat":
        model["canvas"] = spec.get("canvas", "copy")
    return model


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
        return cls(build(description(task.spec, len(task.source_dictionary), len(task.target_dictionary))))

    def set_num_updates(self, num_updates):
        self.updates = num_updates

    def forward(self, *args, **kwargs):
        raise TypeError("the criterion works on the model's net")
