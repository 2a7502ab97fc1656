"""Random models and sources to decode."""

import torch

from natlab.models.transformer import Config

WORDS = (4, 5, 6)


def model_of(make, seed, vocabulary=7, dim=16, config=None, **options):
    """A random model whose predictions are far from uniform; ``config``: what differs in its `Config`."""
    torch.manual_seed(seed)
    model = make(Config(dim, 32, 2, 2, 4, 0.0, vocabulary, vocabulary, True, **config or {}), **options).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:  # a large bias would make all predictions alike
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def log_probability(model, source, target):
    """Log-probability of target + eos by teacher forcing."""
    tokens = torch.tensor([[*target, 2]])
    previous = torch.tensor([[2, *target]])
    return (
        model.logits(model(source, previous)).log_softmax(2)[0, torch.arange(tokens.shape[1]), tokens[0]].sum().item()
    )


def random_sources(count, longest, vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [torch.tensor([*torch.randint(4, vocabulary, (n,), generator=generator).tolist(), 2]) for n in lengths]
