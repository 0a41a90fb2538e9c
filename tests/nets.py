"""What the tests of networks share: noise with a seed, and layers that are no longer zero."""

import torch


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def awake(net):
    """Give every weight of a net a random value, the same in every run, so that no branch is zero; returns the net."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.2 * torch.randn(p.shape, generator=generator)
    return net
