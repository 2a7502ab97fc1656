"""What a run has made on a machine that is lent, packed to take home, and unpacked where the run goes on.

    python -m benchmarks.gpu.pack --run config/runs/mple_multi30k_gpu.yaml --out $OUT --files 5
    python -m benchmarks.gpu.pack --restore build/gpu_pack/back

`corpora.tar.xz` holds the corpora and what Snakemake noted of all that was made; `seed<k>.tar.xz` a seed's distilled
text, candidates, training curves and measurements; `<system>.seed<k>.tar.xz` a published model, in bfloat16, that a job
of the run still takes. Checkpoints and translations stay behind. All files keep their times: a checkout's sources are
newer, but Snakemake compares their checksums with those it noted, and so makes again what they changed, and no more.
"""

import argparse
import io
import tarfile
from collections import defaultdict
from pathlib import Path

import torch

from natlab import jobs
from natlab.schema import read_yaml

LARGEST = 16 * 2**20  # bytes of a file that may be taken home
KEPT = ("extract", "grammar", "noise", "clean", "bpe", "binarise", "merge_distilled", "candidates", "measure")
NOTES = ".snakemake/metadata"


def split(record: jobs.Record) -> tuple[dict[str, list[str]], list[str]]:
    """What to keep of a run, {archive: its files and folders}, and the models that jobs left to do still take."""
    finished = {number for number, event in record.events.items() if event.what == "finished"}
    made = [job for job in record.jobs if not job.todo or job.number in finished]
    left = {number for job in record.jobs if job not in made for number in job.after}
    kept, needed = defaultdict(list, corpora=[NOTES]), []
    for job in made:
        archive = f"seed{job.wildcards['seed']}" if "seed" in job.wildcards else "corpora"
        if job.rule in KEPT:
            kept[archive] += job.output
        elif job.rule == "train":
            model, curve = job.output
            kept[archive] += [curve, str(Path(model).with_name("lineage.json"))]
            needed += [model] * (job.number in left)
    return kept, needed


def halved(path: str) -> bytes:
    """A published model with its parameters in bfloat16; `natlab.models.load` takes it as it is."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    saved["parameters"] = {name: value.bfloat16() for name, value in saved["parameters"].items()}
    file = io.BytesIO()
    torch.save(saved, file)
    return file.getvalue()


def pack(run: str, out: Path, files: int) -> list[str]:
    """Pack what a run has made into at most ``files`` files of at most `LARGEST` bytes; returns what does not fit."""
    kept, needed = split(jobs.read(run))
    archives = {name: [path for path in paths if Path(path).exists()] for name, paths in kept.items()}
    archives |= {".".join(Path(model).parts[-3:-1]): [model] for model in needed if Path(model).exists()}
    left_out = []
    for name, paths in archives.items():
        file = out / f"{name}.tar.xz"
        with tarfile.open(file, "w:xz", preset=2) as archive:
            for path in paths:
                if path in needed:
                    entry, content = archive.gettarinfo(path), halved(path)
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
                else:
                    archive.add(path)
        files -= 1
        if files < 0 or file.stat().st_size > LARGEST:
            file.unlink()
            left_out.append(name)
    return left_out


def restore(folder: Path) -> None:
    """Unpack all that was packed into a folder, below the working folder, each file with its time."""
    for path in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(path) as archive:
            archive.extractall(filter="data")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--restore", type=Path, metavar="FOLDER", help="unpack what lies there, and nothing else")
    parser.add_argument("--run", metavar="RUNFILE", help="the run to pack")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--files", type=int, default=5, help="how many at most")
    args = parser.parse_args()
    if args.restore:
        restore(args.restore)
    else:
        for name in pack(read_yaml(args.run)["run"], args.out, args.files):
            print(f"no room for {name}: it will be made again")


if __name__ == "__main__":
    main()
