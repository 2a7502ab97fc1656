"""Adam as fairseq's, by torch's fused implementation."""

import inspect
from dataclasses import dataclass, field

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II


@dataclass
class NatlabAdamConfig(FairseqDataclass):
    """Adam with decoupled weight decay; by default β and ε are those of Vaswani et al. 2017 (section 5.3)."""

    beta1: float = field(default=0.9, metadata={"help": "decay of the mean of gradients"})
    beta2: float = field(default=0.98, metadata={"help": "decay of the mean of their squares"})
    eps: float = field(default=1e-9, metadata={"help": "added to the root of the mean of squares"})
    weight_decay: float = field(default=0.0, metadata={"help": "decoupled weight decay"})
    lr: list[float] = II("optimization.lr")


class Adam(torch.optim.AdamW):
    """AdamW without what torch wraps around it for its compiler, whose import takes a second and a half and which has
    nothing to compile here."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)


@register_optimizer("natlab_adam", dataclass=NatlabAdamConfig)
class NatlabAdam(FairseqOptimizer):
    """One kernel for all parameters instead of a Python loop over them, for the step, the scaling and the norm."""

    def __init__(self, cfg: NatlabAdamConfig, params):
        super().__init__(cfg)
        self._optimizer = Adam(list(params), fused=True, **self.optimizer_config)

    @property
    def optimizer_config(self):
        cfg = self.cfg
        betas = (cfg.beta1, cfg.beta2)
        return {"lr": cfg.lr[0], "betas": betas, "eps": cfg.eps, "weight_decay": cfg.weight_decay}

    def _gradients(self):
        return [parameter.grad for parameter in self.params if parameter.grad is not None]

    def multiply_grads(self, c):
        torch._foreach_mul_(self._gradients(), float(c))

    def clip_grad_norm(self, max_norm, aggregate_norm_fn=None):
        """Scale the gradients to a norm of at most ``max_norm`` (0: leave them); returns the norm before that."""
        gradients = self._gradients()
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        if aggregate_norm_fn is not None:
            norm = aggregate_norm_fn(norm)
        if max_norm > 0:
            torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1))
        return norm
