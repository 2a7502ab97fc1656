"""Tracking of trainings with comet-ml, at no cost to them: nothing here raises, waits long or slows a step.

A training's folder of checkpoints holds, shared by all attempts at it:

    experiment.json        the experiment: its key, name, parameters, fingerprint
    comet/metrics.jsonl    what was logged, one JSON object a line: time (ms since 1970), step, metrics
    comet/<key>.zip        all of that as comet-ml's offline archive, which `comet upload` sends

The archive is written here, in the format of the JSON Schemas that comet-ml ships for it, because comet-ml's own holds
one attempt only and is empty after a kill, and importing it takes seconds and patches torch. Online, a process of its
own follows metrics.jsonl and hands it to comet-ml; the archive is written all the same.
"""

import argparse
import json
import logging
import math
import os
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from natlab.errors import UserError
from natlab.files import lines, read_json, write_json, written_aside

logger = logging.getLogger(__name__)

DEFAULTS = {"backend": "comet", "online": False}
PATIENCE = 4  # seconds that the end of a training waits for what is still to be sent
FAREWELL = 60  # seconds that the sending process may then go on by itself
# comet-ml shall say nothing, patch nothing, report nothing of its own errors and write no log of its own.
QUIET = {
    "COMET_DISABLE_AUTO_LOGGING": "1",
    "COMET_LOGGING_CONSOLE": "CRITICAL",
    "COMET_LOGGING_FILE": "",
    "COMET_ERROR_TRACKING_ENABLE": "false",
}


class Tracker:
    """Where the metrics of one attempt at a training go: nowhere, with the backend `none`."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Note metrics, named as they shall appear (``train/loss``), of one step: the updates made so far."""

    def end(self, metrics: Mapping[str, float] | None = None) -> None:
        """Note final metrics, if any, and finish this attempt, within 5 seconds."""


class CometTracker(Tracker):
    """Logs to ``folder``, and lets a process of its own send what is logged if it is ``online``."""

    def __init__(self, folder: Path, online: bool):
        self.folder = folder
        self.warned = False
        self.clock, self.cpu = time.monotonic(), time.process_time()
        self.metrics = folder / "comet" / "metrics.jsonl"
        self.metrics.parent.mkdir(exist_ok=True)
        _append(self.metrics, "")  # a kill may have left half a line
        self.sender = _sender(folder, self.metrics.stat().st_size) if online else None
        archive(folder)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._note(metrics, step)
        if self.sender and self.sender.poll() is not None:
            self._hear(self.sender)

    def end(self, metrics: Mapping[str, float] | None = None) -> None:
        if metrics:
            self._note(metrics, None)
        try:
            archive(self.folder)
        except Exception as error:
            self._warn(f"no archive in {self.metrics.parent}: {error}")
        if self.sender:
            self._hear(self.sender)

    def _note(self, metrics: Mapping[str, float], step: int | None) -> None:
        try:
            used = {} if step is None else self._system()
            values = {name: float(value) for name, value in {**metrics, **used}.items()}
            _append(self.metrics, json.dumps({"time": _now(), "step": step, "metrics": values}))
        except Exception as error:
            self._warn(f"nothing can be noted in {self.metrics}: {error}")

    def _system(self) -> dict[str, float]:
        """What this process took of the machine since the last call, and its peaks so far."""
        clock, cpu = time.monotonic(), time.process_time()
        unit = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss
        used = {"system/peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9}
        if clock > self.clock:
            used["system/cores"] = (cpu - self.cpu) / (clock - self.clock)
        self.clock, self.cpu = clock, cpu
        torch = sys.modules.get("torch")
        if torch and torch.cuda.is_initialized():
            used["system/gpu_peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        return used

    def _hear(self, sender: subprocess.Popen) -> None:
        """Tell the sending process that this attempt is over, and what it has to complain of, if it can say so soon."""
        self.sender = None
        try:
            complaint, _ = sender.communicate("end\n", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            complaint = f"comet-ml did not finish within {PATIENCE} s"
        except Exception as error:
            complaint = str(error)
        if complaint or sender.returncode:
            complaint = complaint.strip() or f"comet-ml's process ended with status {sender.returncode}"
            self._warn(f"{complaint}; the archive in {self.metrics.parent} has everything")

    def _warn(self, problem: str) -> None:
        if not self.warned:
            logger.warning("tracking: %s", problem)
        self.warned = True


def start(
    settings: Mapping[str, Any], folder: str | Path, name: str, parameters: Mapping[str, Any], fingerprint: str
) -> Tracker:
    """A tracker of one attempt at the training whose checkpoints lie in ``folder``.

    ``settings`` are the run's `tracking`; ``parameters`` may be nested (a training's spec). The first attempt names the
    experiment; later ones continue it.
    """
    try:
        if {**DEFAULTS, **settings}["backend"] == "comet" and not (Path(folder) / "experiment.json").exists():
            experiment = {"key": secrets.token_hex(16), "name": name, "fingerprint": fingerprint}
            write_json(Path(folder) / "experiment.json", {**experiment, "parameters": parameters})
    except Exception as error:
        return _untracked(error)
    return resume(settings, folder)


def resume(settings: Mapping[str, Any], folder: str | Path) -> Tracker:
    """A tracker that adds to the experiment in ``folder``; where there is none, it notes nothing."""
    settings = {**DEFAULTS, **settings}
    try:
        if settings["backend"] == "comet" and (Path(folder) / "experiment.json").exists():
            return CometTracker(Path(folder), settings["online"])
    except Exception as error:
        return _untracked(error)
    return Tracker()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a verb that adds its measurements to the experiment of the model that it measures."""
    parser.add_argument("--tracking", type=json.loads, default={"backend": "none"}, help="JSON: the run's `tracking`")
    parser.add_argument("--checkpoints", default="", help="the model's checkpoints, a folder for each fingerprint")


def measured(args: argparse.Namespace, measurements: Iterable[Mapping[str, Any]]) -> None:
    """Add the measurements of one model (their files' contents) to its experiment, if it has one.

    ``args`` has what `add_arguments` adds.
    """
    try:
        measurements = list(measurements)
        [fingerprint] = {measurement["provenance"]["fingerprint"] for measurement in measurements}
        values = dict(value for measurement in measurements for value in _values(measurement))
        resume(args.tracking, Path(args.checkpoints) / str(fingerprint)).end(values)
    except Exception as error:
        _untracked(error)


def _values(measurement: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """(name, number) of a measurement's values, not of texts; of one with several statistics (mean, median …), each."""
    of = [part for part in (measurement["decoding"], measurement["split"]) if part]
    for metric, value in measurement["values"].items():
        if isinstance(value.get("value"), str):
            continue
        if "value" in value:
            yield "/".join([*of, metric]), value["value"]
        else:
            for statistic in (name for name, number in value.items() if isinstance(number, int | float)):
                yield "/".join([*of, metric, statistic]), value[statistic]


def archive(folder: Path) -> None:
    """Write the experiment in ``folder`` as comet-ml's offline archive, whole or not at all."""
    experiment = read_json(folder / "experiment.json")
    logged = points(folder / "comet" / "metrics.jsonl")
    times = [at for _, _, _, at in logged] or [_now()]
    about = {
        "offline_id": experiment["key"],
        "project_name": _project(),
        "workspace": os.environ.get("COMET_WORKSPACE"),
        "start_time": min(times),
        "stop_time": max(times),
        "tags": [],
        "resume_strategy": "get_or_create",
        "user_provided_experiment_key": True,
    }
    messages = "".join(
        json.dumps({"type": kind, "payload": {"message_id": number, **payload}}, allow_nan=False) + "\n"
        for number, (kind, payload) in enumerate(_messages(experiment, logged, min(times)), start=1)
    )
    with written_aside(folder / "comet" / f"{experiment['key']}.zip", "wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as parts:
            parts.writestr("experiment.json", json.dumps(about))
            parts.writestr("messages.json", messages)


def points(path: Path) -> list[tuple[str, float, int | None, int]]:
    """(metric, value, step, time) of all that was logged; of steps made again after a kill, the last values."""
    found = {}
    for record in _records(lines(path)):
        for name, value in record["metrics"].items():
            found[name, record["step"]] = value, record["time"]
    return [(name, value, step, at) for (name, step), (value, at) in found.items()]


def _records(logged: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The records of the lines of metrics.jsonl."""
    for line in logged:
        try:
            yield json.loads(line)
        except ValueError:
            continue  # empty, or cut short by a kill


def _messages(experiment: Mapping[str, Any], logged: list, began: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(type, payload) of the messages of an offline archive."""
    for key, value in _others(experiment).items():
        yield "log_other", {"key": key, "value": value}
    for name, value in _flat(experiment["parameters"]).items():
        parameter = {"paramName": name, "paramValue": value, "step": None, "source": "manual"}
        yield "parameter_msg", {"local_timestamp": began, "param": parameter}
    for name, value, step, at in logged:
        value = value if math.isfinite(value) else json.dumps(value)  # "NaN", "Infinity", as comet-ml spells them
        metric = {"metricName": name, "metricValue": value, "step": step, "epoch": None}
        yield "metric_msg", {"local_timestamp": at, "metric": metric}


def _others(experiment: Mapping[str, Any]) -> dict[str, str]:
    return {"Name": experiment["name"], "fingerprint": experiment["fingerprint"]}


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their dotted names; what is neither a mapping nor a scalar becomes JSON."""
    flat = {}
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str | int | float | None) else json.dumps(value)
    return flat


def _append(path: Path, line: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def _now() -> int:
    return time.time_ns() // 10**6


def _project() -> str:
    return os.environ.get("COMET_PROJECT_NAME", "natlab")


def _untracked(error: Exception) -> Tracker:
    logger.warning("tracking: off: %s", error)
    return Tracker()


def _sender(folder: Path, since: int) -> subprocess.Popen:
    """A process that sends what is appended to the folder's metrics.jsonl after ``since`` bytes."""
    command = [sys.executable, "-m", __name__, str(folder), str(since)]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(command, env=os.environ | QUIET, stdin=pipe, stdout=pipe, stderr=null, encoding="utf-8")


def _send(folder: Path, since: int, over: threading.Event) -> None:
    """Hand an experiment to comet-ml as it grows, until it is ``over``; raises what comet-ml raises."""
    import comet_ml

    if not comet_ml.get_config("comet.api_key"):
        raise UserError("no API key is set; set COMET_API_KEY, or the run's tracking.online to false")
    experiment = read_json(folder / "experiment.json")
    nothing = dict.fromkeys(
        "log_code log_graph parse_args log_git_metadata log_git_patch log_env_details auto_output_logging "
        "auto_param_logging auto_metric_logging auto_log_co2 display_summary_level".split(),
        False,
    )
    with tempfile.TemporaryDirectory() as spare:  # where comet-ml would write an archive of its own
        online = comet_ml.start(
            online=True,
            mode="get_or_create",
            experiment_key=experiment["key"],
            project_name=_project(),
            experiment_config=comet_ml.ExperimentConfig(disabled=False, offline_directory=spare, **nothing),
        )
        online.log_others(_others(experiment))
        online.log_parameters(_flat(experiment["parameters"]))
        with open(folder / "comet" / "metrics.jsonl", encoding="utf-8") as file:
            file.seek(since)
            last = False
            while not last:
                last = over.wait(1)
                for record in _records(file):
                    online.log_metrics(record["metrics"], step=record["step"])
        online.end()


def main() -> None:
    """The sending process: what goes wrong is one line on standard output, without the key that errors may hold."""
    answer, sys.stdout = sys.stdout, sys.stderr
    for number in (signal.SIGTERM, signal.SIGINT):  # meant for the training, which says when it is over
        signal.signal(number, signal.SIG_IGN)
    over = threading.Event()

    def listen() -> None:
        os.read(0, 1)  # a word, or the end of a training that was killed
        signal.alarm(FAREWELL)
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        _send(Path(sys.argv[1]), int(sys.argv[2]), over)
    except UserError as error:
        print(error, file=answer)
    except Exception as error:
        kind = type(error).__name__
        print(f"comet-ml refuses or is out of reach ({kind}); check COMET_API_KEY and the network", file=answer)


if __name__ == "__main__":
    main()
