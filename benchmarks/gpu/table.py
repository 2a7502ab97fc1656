"""The end of benchmarks/on_gpu.sh: all that was measured as $OUT/on_gpu.json, and a short table of it.

    python benchmarks/gpu/table.py build/gpu $OUT

Needs nothing but Python, so that it tells of an installation that failed. The exit status is 1 where a step failed.
"""

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from pathlib import Path

ENDED = {"0": "ok", "124": "out of time", "127": "not found", "137": "out of time"}


def said(*command: str) -> str:
    """The first line that a command prints; empty where there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.partition("\n")[0]
    except OSError:
        return ""


def commit() -> str:
    """What the pack says or, where it says nothing, the checkout, whose history may have stayed behind."""
    noted = Path(os.environ.get("PACK", ""), "commit")
    return noted.read_text().strip() if noted.is_file() else said("git", "rev-parse", "HEAD") or "unknown"


def collected(work: Path) -> dict:
    """What the steps wrote into ``work``."""
    lines = (work / "steps.tsv").read_text().splitlines() if (work / "steps.tsv").exists() else []
    found = {
        "commit": commit(),
        "card": said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") or "no GPU",
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "steps": [dict(zip(("stage", "step", "status", "seconds"), line.split("\t"), strict=True)) for line in lines],
        "bleu": bleu(),
        "tables": {path.stem: path.read_text() for path in sorted(work.glob("tables/*.md"))},
    }
    if (work / "tests.xml").exists():
        suite = xml.parse(work / "tests.xml").getroot().find("testsuite")
        found["tests"] = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    for name in ("kernels", "speed"):
        if (work / f"{name}.json").exists():
            found[name] = json.loads((work / f"{name}.json").read_text())
    return found


def bleu() -> dict[str, list[str]]:
    """The tokenised BLEU of each seed that has been measured, by system and decoding of the whole test set."""
    found: dict[str, list[str]] = {}
    for path in sorted(Path("results/measurements").glob("*/*/*/seed*/*.test.json")):
        score = json.loads(path.read_text())["values"]["bleu_tok"]["value"]
        found.setdefault(f"{path.parts[-3]} {path.name.removesuffix('.test.json')}", []).append(f"{score:.2f}")
    return found


def figures(found: dict) -> list[tuple[str, str]]:
    """What of it goes into the table, (what, how much)."""
    rows = []
    if tests := found.get("tests"):
        rows.append(("kernels: tests", ", ".join(f"{count} {key}" for key, count in tests.items())))
    for case in found.get("kernels", {}).get("cases", []):
        peers = ", ".join(f"{ratio} x {peer}" for peer, ratio in case["ratio"].items())
        share = f", {100 * case['bandwidth']:.0f} % of the bandwidth" if "bandwidth" in case else ""
        rows.append((f"{case['op']} {case['size']}", f"{case['ms']['natlab']} ms; {peers}{share}"))
    speed = found.get("speed", {})
    for part in ("training", "training_bf16"):
        for size, measured in speed.get(part, {}).items():
            rates = ", ".join(f"{side} {rate:,.0f}" for side, rate in measured["tokens_per_second"].items())
            rows.append((f"training {size}, tokens/s", rates))
    rows += [(f"update {system}", f"{taken:.1f} ms") for system, taken in speed.get("update", {}).items()]
    for decoding, taken in speed.get("latency", {}).items():
        rows.append((f"latency {decoding}", f"{taken['mean']:.2f} ms for {taken['tokens']:.1f} tokens"))
    for where, together in speed.get("shared", {}).items():
        rates = ", ".join(f"{system} {rate:.1f}" for system, rate in together.items())
        rows.append((f"shared {where}, updates/s", rates))
    if distilled := speed.get("distillation"):
        rates = ", ".join(f"{side} {rate:,.0f}" for side, rate in distilled["sentences_per_second"].items())
        rows.append(("distillation, sentences/s", rates))
    rows += [(f"FAILED {part}", why) for part, why in speed.get("failed", {}).items()]
    return rows + [(name, f"BLEU {' '.join(scores)}") for name, scores in found["bleu"].items()]


def main() -> None:
    work, out = map(Path, sys.argv[1:])
    found = collected(work)
    (out / "on_gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    rows = figures(found)
    for step in found["steps"]:
        ended = ENDED.get(step["status"], f"failed ({step['status']})")
        rows.append((f"{step['stage']}: {step['step']}", f"{ended}, {step['seconds']} s"))
    width = max((len(what) for what, _ in rows), default=0)
    print(f"{found['card']}; commit {found['commit'][:12]}; {found['time']}")
    print("\n".join(f"{what:<{width}}  {much}" for what, much in rows))
    sys.exit(any(step["status"] != "0" for step in found["steps"]))


if __name__ == "__main__":
    main()
