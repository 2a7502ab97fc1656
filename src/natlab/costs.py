"""What a job costs: time, memory and disk, reckoned from the configuration and the figures of ``config/costs.yaml``.

A model's work is counted in floating-point operations (FLOP). For one target token, of a source about as long,

    forward = 2 (E + D + O),    training step = 3 x forward

with the multiplications of the encoder, E = layers (4 d^2 + 2 d f), of the decoder, D = layers (8 d^2 + 2 d f), and of
the output layer, O = V d; attention between the few tokens of a sentence is left out (Kaplan et al. 2020, section 2.1,
count likewise). A canvas of the source's length times a factor takes that many times D and O. Time is work over a
device's measured or stated rate. Nothing here imports torch.
"""

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from natlab import families
from natlab.config import SCHEMAS, Run
from natlab.corpus import dataset as dataset_files
from natlab.corpus.extract import extract
from natlab.corpus.text import read
from natlab.errors import UserError
from natlab.files import read_json
from natlab.jobs import Job
from natlab.models import architectures
from natlab.models.precision import arithmetic
from natlab.schema import read_yaml, validate

TABLE = "config/costs.yaml"
DOWNLOADS = Path("results/downloads")
PROCESS = 0.7e9  # bytes of a process with torch and fairseq
READ = 32e6  # bytes of fetched files that are extracted to see how large a corpus is; some ten seconds
STATE = 16  # bytes a parameter in training: itself, its gradient, Adam's two moments


@dataclass(frozen=True)
class Corpus:
    """A corpus' size. tokens: BPE tokens of a sentence; vocabulary: words of the source's and the target's dictionary;
    source: where these figures are from."""

    pairs: int
    valid: int
    test: int
    tokens: float
    vocabulary: tuple[int, int]
    source: str


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock; bytes left on disk, at most in memory, and at most on each of its GPUs."""

    seconds: float
    disk: float = 0.0
    memory: float = 0.0
    gpu_memory: float = 0.0


def _of_parts(architecture: Mapping[str, Any], d: int, heads: int) -> int:
    """How many parameters the parts of a non-autoregressive architecture have."""
    name = architecture["lengths"]["name"]
    lengths = families.defaults("length", name) | architecture["lengths"]
    classes = {"difference": 256, "absolute": lengths.get("longest")}.get(name, 0)
    vectors = (lengths.get("read") == "token") + (architecture["fill"]["name"] in ("mask", "codes"))
    links = 2 * (2 * d + 1) * d + (2 * d + 1) * heads if architecture.get("links") else 0
    return (classes + architecture.get("masking", False)) * (d + 1) + vectors * d + links


def _positions(architecture: Mapping[str, Any]) -> float:
    """How many positions the decoder has for a token."""
    return architecture.get("lengths", {}).get("factor", 1)


@dataclass(frozen=True)
class Work:
    """A model's size. encoder, decoder, output: multiplications for one token; parameters: their number."""

    encoder: int
    decoder: int
    output: int
    parameters: int

    @classmethod
    def of(cls, spec: Mapping[str, Any], vocabulary: tuple[int, int]) -> "Work":
        """Of the model of a training spec."""
        if "both sides" in architectures.of(spec["architecture"]).offers:
            return cls._of_both_sides(spec, vocabulary)
        size = spec["size"]
        d, f = size["d_model"], size["d_hidden"]
        encoder, decoder = 4 * d * d + 2 * d * f, 8 * d * d + 2 * d * f
        # with biases and layer norms, by layer
        parameters = size["encoder_layers"] * (encoder + 9 * d + f) + size["decoder_layers"] * (decoder + 15 * d + f)
        parameters += (vocabulary[1] if spec["joint_vocabulary"] else sum(vocabulary)) * d
        parameters += 2 * size.get("learned_positions", 0) * d
        architecture = spec["architecture"]
        if "lengths" in architecture:
            parameters += _of_parts(architecture, d, size["heads"])
        positions = _positions(architecture)
        # layers whose states and predictions the next one joins
        joins = size["decoder_layers"] - 1 if architecture.get("deep_supervision") else 0
        parameters += joins * (2 * d + 1) * d
        products = size["decoder_layers"] * decoder + (4 * d * d if architecture.get("links") else 0)
        products = products + joins * 2 * d * d, (1 + joins) * vocabulary[1] * d
        return cls(size["encoder_layers"] * encoder, *(round(positions * each) for each in products), parameters)

    @classmethod
    def _of_both_sides(cls, spec: Mapping[str, Any], vocabulary: tuple[int, int]) -> "Work":
        """Of an encoder of both sides, each of which it encodes as it is and noised."""
        size = {**spec["size"], "layers": spec["size"]["encoder_layers"]}
        words = vocabulary[1] if spec["joint_vocabulary"] else sum(vocabulary)
        if "encoder" in spec["architecture"]:
            size = families.trait("encoder", spec["architecture"]["encoder"]["name"], "size")
            words, vocabulary = size["vocabulary"], (size["vocabulary"], size["vocabulary"])
        d, f = size["d_model"], size["d_hidden"]
        layer = 4 * d * d + 2 * d * f
        options = {"masked": families.defaults("objective", spec["objective"]["name"])["masked"]} | spec["objective"]
        parameters = size["layers"] * (layer + 9 * d + f) + (words + 1 + size.get("learned_positions", 0)) * d
        return cls(4 * size["layers"] * layer, 0, round(options["masked"] * sum(vocabulary) * d), parameters)

    @property
    def forward(self) -> int:
        """FLOP of one token through the whole model."""
        return 2 * (self.encoder + self.decoder + self.output)

    def decoded(self, tokens: float, decoding: Mapping[str, Any]) -> float:
        """FLOP to decode a sentence of some tokens: the encoder once, the rest for each hypothesis or candidate, again
        where another model scores it; Input Sampling takes two passes and one of the predictor's."""
        hypotheses = decoding.get("beam") or decoding.get("length_candidates", 1) * (
            2 if decoding.get("reranker") else 1
        )
        if decoding.get("kind") == "sample":
            hypotheses = 3
        return 2 * tokens * (self.encoder + hypotheses * (self.decoder + self.output))


class Costs:
    """The cost of each job of one run. ``root`` is the folder the run is, or will be, started in."""

    def __init__(self, run: Run, root: Path = Path()):
        self.run = run
        self.root = root
        self.table = read_yaml(root / TABLE, name=TABLE)
        validate(self.table, root / SCHEMAS / "costs.schema.yaml", TABLE)
        self.unknown_rules: set[str] = set()  # met, and counted as nothing
        self.unknown_corpora: dict[str, str] = {}  # met, and of unknown size; why
        self._corpora: dict[str, Corpus | None] = {}

    def cost(self, job: Job) -> Cost | None:
        """What a job costs; None where nothing is known of its corpus' size."""
        if "dataset" in job.wildcards and self.corpus(job.wildcards["dataset"]) is None:
            return None
        of_rule = {
            "train": self._train,
            "distil": self._distil,
            "translate": self._translate,
            "score": self._score,
            "latency": self._latency,
            "speed": self._speed,
        }
        return of_rule[job.rule](job) if job.rule in of_rule else self._other(job)

    def corpus(self, dataset: str) -> Corpus | None:
        """The size of a dataset, as closely as it can be known: of what has been made of it, else what its file or the
        table says, else of the files it is made of, where they are at hand; None where they are not."""
        if dataset not in self._corpora:
            self._corpora[dataset] = self._measured(dataset) or self._begun(dataset) or self._expected(dataset)
        return self._corpora[dataset]

    def device(self, job: Job) -> dict[str, Any]:
        """The figures of what a job runs on."""
        return self.table["devices"]["gpu" if job.gpus else "cpu"]

    # ---- jobs that run a model

    def _train(self, job: Job) -> Cost:
        spec = self._spec(job, job.wildcards["system"])
        corpus, training = self.corpus(spec["dataset"]), spec["training"]
        work = Work.of(spec, corpus.vocabulary)
        device, units = self.device(job), job.gpus or job.threads
        tokens = training["updates"] * training["batch_tokens"] * training["update_freq"] * self.table["fill"]
        factor = 1.0
        for family in ("input", "objective"):
            factor *= self.table[f"{family}s"].get(spec.get(family, {}).get("name"), 1.0)
        precision = arithmetic(training["precision"], gpu=job.gpus > 0)
        seconds = tokens * 3 * work.forward * factor / (device["train_gflops"][precision] * 1e9 * units)
        validations = training["updates"] // training["validate_every"]
        seconds += validations * self._decoding_seconds(job, work, corpus.valid, corpus.tokens, {"beam": 1})
        checkpoints = training["average_best"] + self.table["disk"]["checkpoints_beside_best"]
        on_device = STATE * work.parameters + training["batch_tokens"] * _activation_bytes(spec, corpus)
        return Cost(
            seconds=device["start_seconds"] + seconds,
            disk=(checkpoints * self.table["disk"]["checkpoint_bytes_per_parameter"] + 4) * work.parameters,
            memory=PROCESS + (STATE * work.parameters if job.gpus else on_device),
            gpu_memory=on_device if job.gpus else 0.0,
        )

    def _distil(self, job: Job) -> Cost:
        spec = self._spec(job, job.wildcards["teacher"])
        corpus = self.corpus(spec["dataset"])
        size = {"train": corpus.pairs, "valid": corpus.valid, "test": corpus.test}[job.wildcards["split"]]
        sentences = size / int(job.wildcards["shards"])
        work = Work.of(spec, corpus.vocabulary)
        seconds = self._decoding_seconds(job, work, sentences, corpus.tokens, self.run.scale["distil"])
        disk = sentences * corpus.tokens * self.table["disk"]["corpus_bytes_per_token"]["bpe"]
        return Cost(self.device(job)["start_seconds"] + seconds, disk, PROCESS)

    def _translate(self, job: Job) -> Cost:
        dataset, system = job.wildcards["dataset"], job.wildcards["system"]
        corpus = self.corpus(dataset)
        work = Work.of(self._spec(job, system), corpus.vocabulary)
        sentences = sum(getattr(corpus, split) for split in self.run.splits_of(dataset, system))
        seconds = 0.0
        for decoding in self.run.decodings_of(dataset, system).values():
            choices = families.variants(decoding)
            tuning = len(choices) * corpus.valid if len(choices) > 1 else 0
            seconds += self._decoding_seconds(job, work, sentences + tuning, corpus.tokens, choices[0])
        # the losses, on raw and on proxy targets
        seconds += 2 * self._decoding_seconds(job, work, corpus.valid, corpus.tokens, {"beam": 1})
        return Cost(self.device(job)["start_seconds"] + seconds, memory=PROCESS)

    def _score(self, job: Job) -> Cost:
        dataset, system, metric = (job.wildcards[key] for key in ("dataset", "system", "metric"))
        corpus, device, figures = self.corpus(dataset), self.device(job), self.table["learned"][metric]
        splits = [name.rpartition(".")[2] for name in self.run.translated(dataset, system, metric)]
        # once a side for COMET, which reads three, once all for BLEURT, which reads two
        tokens = figures["sides"] * corpus.tokens * sum(getattr(corpus, split) for split in splits)
        rate = device["decode_gflops"] * 1e9 * (job.gpus or job.threads)
        seconds = 2 * figures["parameters"] * tokens / rate
        memory = PROCESS + 4 * figures["parameters"]
        return Cost(device["start_seconds"] + seconds, 0, memory, memory if job.gpus else 0.0)

    def _latency(self, job: Job) -> Cost:
        corpus, device, timed = self.corpus(job.wildcards["dataset"]), self.device(job), self.run.scale["latency"]
        sentences = min(timed["sentences"], corpus.test) + timed["warmup"]
        work = Work.of(self._spec(job, self.run.reference), corpus.vocabulary)
        # the models use the scale's threads; a small model's time is not its arithmetic's
        arithmetic = work.decoded(corpus.tokens, {"beam": 7}) / (device["decode_gflops"] * 1e9)
        seconds = sentences * max(device["latency_seconds"], arithmetic)
        return Cost(device["start_seconds"] + seconds, memory=PROCESS)

    def _speed(self, job: Job) -> Cost:
        dataset, device, timed = job.wildcards["dataset"], self.device(job), self.run.scale["latency"]
        # of each way, some sentences alone on one thread and on two, long ones, and batches of several sizes
        sentences = len(self.run.ways(dataset)) * (timed["sentences"] + timed["warmup"])
        return Cost(device["start_seconds"] + sentences * device["latency_seconds"], memory=PROCESS)

    def _decoding_seconds(
        self, job: Job, work: Work, sentences: float, tokens: float, decoding: Mapping[str, Any]
    ) -> float:
        rate = self.device(job)["decode_gflops"] * 1e9 * (job.gpus or job.threads)
        return sentences * work.decoded(tokens, decoding) / rate

    def _spec(self, job: Job, system: str) -> dict[str, Any]:
        return self.run.spec(job.wildcards["dataset"], system, int(job.wildcards["seed"]))

    # ---- jobs that run none

    def _other(self, job: Job) -> Cost:
        if job.rule == "fetch":
            return self._fetch(job)
        if job.rule not in self.table["rules"]:
            self.unknown_rules.add(job.rule)
            return Cost(0.0)
        figures = self.table["rules"][job.rule]
        if "dataset" not in job.wildcards:
            return Cost(figures["seconds"])
        corpus = self.corpus(job.wildcards["dataset"])
        seconds = figures.get("per_1000_pairs", 0) * corpus.pairs / 1000
        if figures.get("uses_threads"):
            seconds /= job.threads
        by_folder = self.table["disk"]["corpus_bytes_per_token"]
        tokens = corpus.tokens * corpus.pairs
        if job.rule == "candidates":
            # the sources, and of each pair several targets and their BLEU against each other, in 16 bits
            count = len(self.run.candidates) + 1
            disk = (1 + count) * by_folder["bin"] * tokens + 2 * count**2 * corpus.pairs
        else:
            disk = sum(by_folder.get(Path(folder).name, 0) * 2 * tokens for folder in job.output)
        return Cost(figures["seconds"] + seconds, disk)

    def _fetch(self, job: Job) -> Cost | None:
        size = self.download(job.wildcards["address"])
        if size is None:
            return None
        seconds = self.table["rules"]["fetch"]["seconds"] + size / (self.table["download_mb_per_second"] * 1e6)
        return Cost(seconds, size)

    def download(self, address: str) -> float | None:
        """Bytes of one file that is fetched: the mirror's, or an equal share of its dataset's; None if unknown."""
        if (place := self._at_hand(address)) is not None:
            return place.stat().st_size
        for name in self._fetched:
            files = [dataset_files.address(file["url"]) for file in self._fetched[name].values()]
            if address in files and name in self.table["corpora"]:
                entry = self.table["corpora"][name]
                text = 2 * entry["pairs"] * entry["tokens"] * self.table["disk"]["corpus_bytes_per_token"]["text"]
                return entry.get("download_mb", text / 1e6) * 1e6 / len(files)
        return None

    def _at_hand(self, address: str) -> Path | None:
        """Where a fetched file lies, or the mirror has it; None where it has to come from the network."""
        mirror = os.environ.get("NATLAB_MIRROR")
        folders = [self.root / DOWNLOADS, *([Path(mirror)] if mirror and "://" not in mirror else [])]
        return next((folder / address for folder in folders if (folder / address).is_file()), None)

    @cached_property
    def _fetched(self) -> dict[str, dict[str, Any]]:
        """The files of every dataset that fetches some itself."""
        found = dataset_files.sources(self.root / dataset_files.FOLDER)
        return {name: source["files"] for name, source in found.items() if "files" in source}

    # ---- corpora

    def _measured(self, dataset: str) -> Corpus | None:
        try:
            made = read_json(self.root / f"results/corpora/{dataset}/bin/stats.json")
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        sentences = {split: of["sentences"]["tgt"] for split, of in made["splits"].items()}
        longer = max(made["splits"]["train"]["tokens"].values())
        return Corpus(
            pairs=sentences["train"],
            valid=sentences["valid"],
            test=sentences["test"],
            tokens=longer / max(1, sentences["train"]) + 1,  # and the end of the sentence
            vocabulary=(made["dictionary"]["src"], made["dictionary"]["tgt"]),
            source=f"results/corpora/{dataset}",
        )

    def _begun(self, dataset: str) -> Corpus | None:
        """Of what the first steps have made of it."""
        for step in ("bpe", "tok", "text"):
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                place = f"results/corpora/{dataset}/{step}"
                return self._of_folder(dataset, self.root / place, place)
        return None

    def _of_folder(self, dataset: str, folder: Path, source: str) -> Corpus:
        """Of a folder of sentences: its tokens by its bytes, its vocabulary by the merges, or where it comes in BPE by
        its words."""
        splits = read_json(folder / "stats.json")["splits"]
        pairs, valid, test = (splits[split]["pairs_out"] for split in dataset_files.SPLITS)
        sides = [folder / f"train.{side}" for side in dataset_files.SIDES]
        tokens = max(side.stat().st_size for side in sides) / self.table["disk"]["corpus_bytes_per_token"][folder.name]
        described = self.run.dataset(dataset)
        words = described["bpe"]["merges"]
        if dataset_files.in_bpe(described):
            words = len({word for side in sides for line in read(side) for word in line.split()})
        return Corpus(pairs, valid, test, tokens / max(1, pairs) + 1, (words, words), source)

    def _of_files(self, dataset: str) -> Corpus | None:
        """Of its files, fetched or in the mirror, which are extracted for that, unless it would take long."""
        files = self.run.dataset(dataset)["source"]["files"].values()
        places = {address: self._at_hand(address) for address in (dataset_files.address(file["url"]) for file in files)}
        if None in places.values():
            self.unknown_corpora[dataset] = "its files are not here"
            return None
        if sum(place.stat().st_size for place in places.values()) > READ:
            self.unknown_corpora[dataset] = "its files are too large to look into"
            return None
        with tempfile.TemporaryDirectory() as folder:
            for address, place in places.items():
                link = Path(folder) / "downloads" / address
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(place.resolve())
            text = Path(folder) / "text"
            try:
                with contextlib.redirect_stderr(io.StringIO()):  # the job's to say
                    extract(self.run.dataset(dataset), Path(folder) / "downloads", text)
            except UserError as error:
                self.unknown_corpora[dataset] = str(error)
                return None
            return self._of_folder(dataset, text, "its files, as fetched")

    def _expected(self, dataset: str) -> Corpus | None:
        source = dataset_files.sources(self.root / dataset_files.FOLDER)[dataset]
        if source["kind"] == "grammar":
            of, where = self.table["generated"], f"config/datasets/{dataset}.yaml"
            words, clauses = of["vocabulary"], source.get("clauses", [1])
            tokens = of["tokens"] * sum(clauses) / len(clauses)
            return Corpus(source["pairs"], source["valid"], source["test"], tokens, (words, words), where)
        if "base" in source:
            return self.corpus(source["base"])
        if dataset not in self.table["corpora"]:
            return self._of_files(dataset)
        entry = self.table["corpora"][dataset]
        words, heldout = entry["vocabulary"], self.table["heldout"]
        return Corpus(entry["pairs"], heldout, heldout, entry["tokens"], (words, words), entry["source"])


def _activation_bytes(spec: Mapping[str, Any], corpus: Corpus) -> float:
    """Bytes a token that a training step keeps for its backward pass: 34 d a layer in 16 bits (Korthikanti et al. 2022,
    section 4.1; half as much again for the decoder's second attention), and the scores over the vocabulary."""
    size = spec["size"]
    positions = _positions(spec["architecture"])
    layers = size["encoder_layers"] + 1.5 * positions * size["decoder_layers"]
    halves = 2 if spec["training"]["precision"] == "fp32" else 1
    # where tokens are placed on a longer canvas, few rows of scores are held at once
    return halves * 34 * size["d_model"] * layers + (10 * corpus.vocabulary[1] if positions == 1 else 0)


def simulate(jobs: list[Job], costs: Mapping[int, Cost], cores: int, gpus: int) -> tuple[float, float]:
    """(seconds on the clock, largest memory in bytes) of running jobs as Snakemake would on one machine: any job whose
    inputs are there, in the order given, as soon as its threads and GPUs are free; 0 GPUs limit nothing."""
    numbers = {job.number for job in jobs}
    waiting = {job.number: sum(number in numbers for number in job.after) for job in jobs}
    gpus = gpus or sum(job.gpus for job in jobs)
    needs = {job.number: (min(job.threads, cores), min(job.gpus, gpus)) for job in jobs}
    queue = list(jobs)
    running: list[tuple[float, int]] = []  # (end, job's number)
    clock = peak = 0.0
    while queue or running:
        busy_cores, busy_gpus = (sum(needs[number][unit] for _, number in running) for unit in (0, 1))
        for job in list(queue):
            threads, devices = needs[job.number]
            if not waiting[job.number] and busy_cores + threads <= cores and busy_gpus + devices <= gpus:
                queue.remove(job)
                running.append((clock + costs[job.number].seconds, job.number))
                busy_cores, busy_gpus = busy_cores + threads, busy_gpus + devices
        peak = max(peak, sum(costs[number].memory for _, number in running))
        clock, done = min(running)
        running.remove((clock, done))
        for job in queue:
            waiting[job.number] -= done in job.after
    return clock, peak
