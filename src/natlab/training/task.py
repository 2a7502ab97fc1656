"""The task: fairseq data, our spec, and BLEU on the validation set while training."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sacrebleu
from fairseq.data import BaseWrapperDataset, Dictionary, data_utils
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.tasks import FairseqTask, register_task
from fairseq.tasks.translation import load_langpair_dataset

from natlab import families
from natlab.decoding import decode
from natlab.decoding.retrieval import retrieval
from natlab.errors import UserError
from natlab.files import read_json
from natlab.losses.batch import Method
from natlab.metrics.interface import Translations
from natlab.models import validation
from natlab.models.transformer import TwoSided
from natlab.training.candidates import Candidates, WithCandidates

LONGEST = 1022  # tokens a sentence may have in training


def load_pairs(data: str | Path, split: str, source_dictionary: Dictionary, target_dictionary: Dictionary):
    """A split of a fairseq data folder; sources end in eos and everything is padded on the right."""
    pairs = load_langpair_dataset(
        str(data), split, "src", source_dictionary, "tgt", target_dictionary,
        combine=False, dataset_impl="mmap", upsample_primary=1, left_pad_source=False, left_pad_target=False,
        max_source_positions=LONGEST, max_target_positions=LONGEST, shuffle=True,
    )  # fmt: skip
    return LongAlone(pairs)


class LongAlone(BaseWrapperDataset):
    """A data set of pairs, of which one that is longer than a batch is a batch of its own, where fairseq would end."""

    def batch_by_size(self, indices, max_tokens=None, max_sentences=None, required_batch_size_multiple=1):
        return data_utils.batch_by_size(
            indices,
            num_tokens_fn=None,
            num_tokens_vec=np.minimum(self.dataset.num_tokens_vec(indices), max_tokens).astype(np.int64),
            max_tokens=max_tokens,
            max_sentences=max_sentences,
            required_batch_size_multiple=required_batch_size_multiple,
        )


def dictionaries(data: str | Path) -> tuple[Dictionary, Dictionary]:
    """The source and target dictionaries of a fairseq data folder."""
    return Dictionary.load(f"{data}/dict.src.txt"), Dictionary.load(f"{data}/dict.tgt.txt")


def joined(dictionary: Dictionary, tokens) -> str:
    """Tokens as text, subwords put together again."""
    return dictionary.string(tokens.tolist(), bpe_symbol="@@ ", extra_symbols_to_ignore={dictionary.pad()})


@dataclass
class NatlabTaskConfig(FairseqDataclass):
    """Where the data and the spec lie."""

    data: str = field(default="", metadata={"help": "fairseq data folder"})
    spec: str = field(default="", metadata={"help": "JSON file with the resolved training spec"})
    start: str = field(default="", metadata={"help": "published model whose parameters are the initial ones"})


@register_task("natlab", dataclass=NatlabTaskConfig)
class NatlabTask(FairseqTask):
    """Translation for both architectures."""

    def __init__(self, cfg: NatlabTaskConfig):
        super().__init__(cfg)
        self.spec = read_json(cfg.spec)
        self.method = Method.of(self.spec)
        self.decoding = validation.decoding(self.spec)
        self.select_by = self.spec.get("select_by")
        if self.select_by:
            self.score = families.load("score", self.select_by["name"], **self.select_by["options"])
        self.source, self.target = dictionaries(cfg.data)
        self.validating = "valid"  # or another split, of which only the loss counts

    @property
    def source_dictionary(self):
        return self.source

    @property
    def target_dictionary(self):
        return self.target

    def max_positions(self):
        return LONGEST, LONGEST

    def load_dataset(self, split, **kwargs):
        pairs = load_pairs(self.cfg.data, split, self.source, self.target)
        # fairseq leaves longer ones out, and of training those longer than a batch
        longest = min(LONGEST, self.spec["training"]["batch_tokens"]) if split == "train" else LONGEST
        if not (pairs.sizes.max(1) <= longest).any():
            raise UserError(
                f"{self.cfg.data}: each pair of {split} is longer than {longest} tokens, so none is left; split its "
                "sentences" + (" or raise batch_tokens" if longest < LONGEST else "")
            )
        names = self.spec["target"].get("candidates")
        if names:
            pairs = WithCandidates(pairs, Candidates(self.cfg.data, split, names, self.target.pad()))
        self.datasets[split] = pairs

    def valid_step(self, sample, model, criterion):
        """Besides the loss, count what BLEU needs, and what checkpoints are chosen by if that is another score: greedy
        or argmax translations against the validation targets."""
        loss, sample_size, logging = super().valid_step(sample, model, criterion)
        if self.validating != "valid" or self.decoding is None:
            return loss, sample_size, logging
        decoded = decode(model.net, sample["net_input"]["src_tokens"], self.decoding)
        translations, references = (
            [joined(self.target, tokens) for tokens in of] for of in (decoded, sample["target"])
        )
        bleu = sacrebleu.corpus_bleu(translations, [references], tokenize="none", force=True)
        # fairseq adds these up over batches and processes; BLEU is worked out from the sums
        counts = [*bleu.counts, *bleu.totals, bleu.sys_len, bleu.ref_len]
        logging.update({f"bleu_{i}": count for i, count in enumerate(counts)})
        if self.select_by:
            language = self.select_by["language"]
            scored = self.score(Translations(translations, references, translations, references, language))
            each = scored[self.select_by["value"]]["by_sentence"]
            logging |= {"score_sum": sum(each), "score_count": len(each)}
        return loss, sample_size, logging

    def found(self, net: TwoSided, split: str) -> dict[str, float]:
        """What is found of all of a split at once, of a system that translates nothing: the share of sources whose
        nearest target is their own, by words' states and codes (`natlab.decoding.retrieval`). Its ``score``, by which
        checkpoints are chosen, is that by codes where there are any: they are what other systems take."""
        if self.decoding is not None:
            return {}
        pairs = [self.datasets[split][number] for number in range(len(self.datasets[split]))]
        sides = ([pair[side] for pair in pairs] for side in ("source", "target"))
        shares = {f"{name}_share": float(hits.double().mean()) for name, hits in retrieval(net, *sides).items()}
        return {**shares, "score": list(shares.values())[-1]}

    def reduce_metrics(self, logging_outputs, criterion):
        super().reduce_metrics(logging_outputs, criterion)
        if not any("bleu_0" in output for output in logging_outputs):
            return
        for i in range(10):
            metrics.log_scalar_sum(f"_bleu_{i}", sum(int(output.get(f"bleu_{i}", 0)) for output in logging_outputs))

        def bleu(meters):
            sums = [int(meters[f"_bleu_{i}"].sum) for i in range(10)]
            score = sacrebleu.BLEU.compute_bleu(sums[:4], sums[4:8], sums[8], sums[9], smooth_method="exp")
            return round(score.score, 2)

        metrics.log_derived("bleu", bleu)
        if self.select_by:
            total, count = (sum(output.get(f"score_{i}", 0) for output in logging_outputs) for i in ("sum", "count"))
            metrics.log_scalar("score", total / count, count, round=5)
