"""Which noise goes with which picture? Couplings of x0 and eps, and how straight the paths between them are."""

import torch


def ot_pairing(x0, eps):
    """Deal the noises of a batch out anew so that the sum of |x0 - eps|^2 is the least possible: eps in another order.

    x0, eps: (B, ...). Exact, in O(B^3); inside a batch this is optimal transport, over the data it is an estimate with
    a bias that falls with B (Pooladian et al. 2023; Tong et al. 2024, algorithm 3). Every noise is used once, so eps
    stays normal. Raises ValueError for two shapes.
    """
    from scipy.optimize import linear_sum_assignment
    if x0.shape != eps.shape:
        raise ValueError(f"x0 and eps must have one shape, got {tuple(x0.shape)} and {tuple(eps.shape)}")
    cost = torch.cdist(x0.flatten(1).double(), eps.flatten(1).double()).square()
    _, order = linear_sum_assignment(cost.cpu().numpy())
    return eps[torch.as_tensor(order, device=eps.device)]


def straightness(states, times):
    """How far walks are from straight lines at constant speed: 0 if they are (Liu et al. 2023, section 2).

    states: (n + 1, B, ...), where B walks were at times (n + 1,), monotone. With u_i the mean velocity in step i, and u
    that of the whole walk, it is the sum over steps of |t_i+1 - t_i| |u_i - u|^2, with |.|^2 summed over the
    coordinates of a point, as a mean over walks and over the time: a float.
    """
    steps = times.double().diff()
    moves = states.double().flatten(2).diff(dim=0)
    speed = moves / steps[:, None, None]
    mean = moves.sum(dim=0) / steps.sum()
    away = (speed - mean).square().sum(dim=2).mean(dim=1)
    return float((steps * away).sum() / steps.sum())
