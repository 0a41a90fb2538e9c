"""Two optimisers for one net: Muon for the matrices inside, AdamW for all the rest."""

import torch

from minidiff.training.muon import Muon

OUTER = ("conv_in", "conv_out", "token", "position", "embed")  # first and last layers, tables, and the time's embedding


def muon_and_adamw(net, lr=1e-3, weight_decay=0.0, muon_lr=0.02):
    """Muon for weights of two axes or more, AdamW for the others and for layers whose name has a part of `OUTER`.

    net: any; lr, weight_decay: of AdamW; muon_lr: of Muon. To be given to `fit` as its `optimizer`; both learning rates
    follow the schedule. (Jordan et al. 2024, who leave out the same layers.) Returns [AdamW, Muon], or AdamW alone
    where no weight is Muon's.
    """
    inner, others = [], []
    for name, p in net.named_parameters():
        if p.requires_grad:
            (inner if p.ndim >= 2 and not set(OUTER) & set(name.split(".")) else others).append(p)
    both = [torch.optim.AdamW(others, lr, weight_decay=weight_decay, fused=any(p.is_cuda for p in others))]
    return [*both, Muon(inner, muon_lr)] if inner else both
