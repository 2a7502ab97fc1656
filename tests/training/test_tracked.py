"""Tracking of a real training: nothing that happens to either costs the other."""

import json
import logging
import signal
import subprocess
import sys
import time
import zipfile

import torch

from natlab import cli
from natlab.models.load import load
from natlab.training import train

KEY = "aKeyThatMustAppearNowhere0123456789"


def archived(folder):
    """(metric, step) of every point in the one archive of the training in ``folder``."""
    [path] = folder.glob("checkpoints/*/comet/*.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        messages = [json.loads(line) for line in archive.read("messages.json").splitlines()]
    assert any(message["type"] == "parameter_msg" for message in messages)
    points = [message["payload"]["metric"] for message in messages if message["type"] == "metric_msg"]
    return [(point["metricName"], point["step"]) for point in points]


def test_a_training_killed_and_resumed_has_one_archive_of_its_whole_curve(arguments, spec, tmp_path):
    args = arguments(spec(updates=200), tmp_path, "--tracking", '{"backend": "comet"}')
    command = ["train", "--spec", args.spec, "--data", args.data, "--checkpoints", args.checkpoints, "--out", args.out]
    command += ["--tracking", json.dumps(args.tracking)]
    killed = subprocess.Popen(
        [sys.executable, "-c", "import sys; from natlab import cli; sys.exit(cli.main())", *command]
    )
    while not any('"step": 28' in path.read_text() for path in tmp_path.glob("checkpoints/*/comet/metrics.jsonl")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert cli.main(command) == 0
    curve = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    points = archived(tmp_path)
    assert len(points) == len(set(points))
    losses = {(f"{point['subset']}/loss", point["num_updates"]) for point in curve}
    assert {(name, step) for name, step in points if name.endswith("/loss")} == losses
    assert {("train/lr", 200), ("train/wps", 200), ("valid/bleu", 200)} <= set(points)


def test_a_wrong_key_without_a_network_is_one_warning_and_the_same_model(
    arguments, spec, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("COMET_API_KEY", KEY)
    monkeypatch.setenv("COMET_URL_OVERRIDE", "http://127.0.0.1:9/clientlib/")
    untracked, tracked = tmp_path / "untracked", tmp_path / "tracked"
    train.run(arguments(spec(), untracked))
    caplog.set_level(logging.INFO)
    train.run(arguments(spec(), tracked, "--tracking", '{"backend": "comet", "online": true}'))
    assert len([record for record in caplog.records if record.name == "natlab.tracking"]) == 1
    models = [load(folder / "model.pt")[0].state_dict() for folder in (untracked, tracked)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert ("valid/bleu", 60) in archived(tracked)
    assert KEY not in caplog.text
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
