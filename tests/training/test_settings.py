"""fairseq's settings without hydra, and its Adam without torch's compiler."""

import copy
import dataclasses
import subprocess
import sys

import pytest
import torch

from natlab import compat
from natlab.files import write_json
from natlab.training import train

compat.apply()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("schedule", ["linear", "fixed", "inverse_sqrt"])
def test_settings_are_what_fairseq_makes_of_the_command_line(schedule, processes, spec, copy_corpus, tmp_path):
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from omegaconf import OmegaConf

    from natlab.training.loop import settings

    made = spec(schedule=schedule, update_freq=2)
    write_json(tmp_path / "spec.json", made)
    arguments = train.fairseq_arguments(made, str(copy_corpus), tmp_path, processes)
    found = settings(arguments)
    parsed = options.parse_args_and_arch(options.get_training_parser(), arguments)
    expected = convert_namespace_to_omegaconf(parsed)
    for name, section in dataclasses.asdict(found).items():
        if isinstance(section, dict) and name != "lr_scheduler":
            assert section == OmegaConf.to_container(expected[name], resolve=True), name
    assert found.lr_scheduler == expected.lr_scheduler
    for part in ("task", "model", "criterion", "optimizer"):
        for key, value in OmegaConf.to_container(expected[part], resolve=True).items():
            assert key == "_name" or getattr(getattr(found, part), key) == value, (part, key)


def test_adam_takes_the_steps_of_torchs_adamw():
    from natlab.training.optimizer import Adam

    found = []
    for kind in (Adam, torch.optim.AdamW):
        torch.manual_seed(0)
        layer = torch.nn.Linear(5, 7)
        optimizer = kind(layer.parameters(), lr=0.1, weight_decay=0.1, fused=True)
        for update in range(5):
            optimizer.zero_grad()
            layer(torch.randn(3, 5)).square().sum().backward()
            optimizer.step()
            if update == 2:
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        found.append(torch.cat([parameter.detach().flatten() for parameter in layer.parameters()]))
    assert torch.equal(*found)


@pytest.mark.parametrize(
    "given, expected",
    [
        ({}, {"betas": (0.9, 0.98), "eps": 1e-9}),
        ({"betas": [0.9, 0.999], "eps": 1e-6}, {"betas": (0.9, 0.999), "eps": 1e-6}),
        ({"betas": [0.5, 0.25]}, {"betas": (0.5, 0.25), "eps": 1e-9}),
    ],
)
def test_adams_constants_are_those_of_the_training_or_vaswanis(given, expected, spec, copy_corpus, tmp_path):
    """Gradients near ε, and more than one update, without which β does not count."""
    from fairseq.optim import build_optimizer

    from natlab.training.loop import settings

    made = spec(lr=0.1, weight_decay=0.2, **given)
    write_json(tmp_path / "spec.json", made)
    config = settings(train.fairseq_arguments(made, str(copy_corpus), tmp_path)).optimizer
    ours, theirs = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    adam = build_optimizer(config, [ours])
    reference = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.2, **expected)
    for update in range(4):
        for parameter in (ours, theirs):
            parameter.grad = torch.tensor([1e-6, 1e-9, 1.0]) * (-1) ** update * (update + 1)
        adam.step()
        reference.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_adam_leaves_the_compiler_where_it_is():
    code = (
        "import sys, torch; from natlab import compat; compat.apply()\n"
        "from natlab.training.optimizer import Adam\n"
        "layer = torch.nn.Linear(2, 2); adam = Adam(layer.parameters(), lr=0.1, fused=True)\n"
        "layer(torch.ones(1, 2)).sum().backward(); adam.step(); adam.zero_grad()\n"
        "adam.load_state_dict(adam.state_dict())\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
