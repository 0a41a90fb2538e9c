"""Wrong and right answers of chapter 03 on training: the loss, and the average of the weights."""

import torch

from minidiff.process.forward import expand_like
from minidiff.training.ema import ema_decay
from tests.mutants import alternative, mutant


# --- dsm_loss -------------------------------------------------------------------------------------------------------

@mutant("ch03.dsm_loss")
def without_the_weight(score, x0, t, eps, path):
    sigma = expand_like((1 - path.alpha_bar[t]).sqrt(), x0)
    return (score(path.mix(x0, eps, t), t) + eps / sigma).square().mean()


@mutant("ch03.dsm_loss")
def weight_inside_the_square(score, x0, t, eps, path):
    variance = expand_like(1 - path.alpha_bar[t], x0)
    return (variance * (score(path.mix(x0, eps, t), t) + eps / variance.sqrt())).square().mean()


@mutant("ch03.dsm_loss")
def target_with_the_other_sign(score, x0, t, eps, path):
    sigma = expand_like((1 - path.alpha_bar[t]).sqrt(), x0)
    return (sigma * score(path.mix(x0, eps, t), t) - eps).square().mean()


@mutant("ch03.dsm_loss")
def asks_the_score_at_the_clean_points(score, x0, t, eps, path):
    sigma = expand_like((1 - path.alpha_bar[t]).sqrt(), x0)
    return (sigma * score(x0, t) + eps).square().mean()


@mutant("ch03.dsm_loss")
def sums_over_the_dimensions(score, x0, t, eps, path):
    sigma = expand_like((1 - path.alpha_bar[t]).sqrt(), x0)
    return (sigma * score(path.mix(x0, eps, t), t) + eps).square().flatten(1).sum(dim=1).mean()


@mutant("ch03.dsm_loss")
def trains_nothing(score, x0, t, eps, path):
    sigma = expand_like((1 - path.alpha_bar[t]).sqrt(), x0)
    return (sigma * score(path.mix(x0, eps, t), t).detach() + eps).square().mean().requires_grad_()


@mutant("ch03.dsm_loss")
def one_sigma_for_all_points(score, x0, t, eps, path):
    sigma = (1 - path.alpha_bar[t]).mean().sqrt().to(x0)
    return (sigma * score(path.mix(x0, eps, t), t) + eps).square().mean()


@mutant("ch03.dsm_loss")
def absolute_error(score, x0, t, eps, path):
    sigma = expand_like((1 - path.alpha_bar[t]).sqrt(), x0)
    return (sigma * score(path.mix(x0, eps, t), t) + eps).abs().mean()


@alternative("ch03.dsm_loss")
def error_of_the_score_times_its_weight(score, x0, t, eps, path):
    variance = expand_like(1 - path.alpha_bar[t], x0)
    x_t = (1 - variance).sqrt() * x0 + variance.sqrt() * eps
    return (variance * (score(x_t, t) + eps / variance.sqrt()) ** 2).mean()


@alternative("ch03.dsm_loss")
def by_the_library(score, x0, t, eps, path):
    eps_hat = -expand_like((1 - path.alpha_bar[t]).sqrt(), x0) * score(path.mix(x0, eps, t), t)
    return torch.nn.functional.mse_loss(eps_hat, eps)


# --- ema_update -----------------------------------------------------------------------------------------------------

def mix(average, net, d):
    with torch.no_grad():
        for kept, new in zip(average.parameters(), net.parameters(), strict=True):
            kept.copy_(d * kept + (1 - d) * new)


def copy_buffers(average, net):
    for kept, new in zip(average.buffers(), net.buffers(), strict=True):
        kept.copy_(new)


@mutant("ch03.ema_update")
def without_warm_up(average, net, n, decay=0.999):
    mix(average, net, decay)
    copy_buffers(average, net)


@mutant("ch03.ema_update")
def weights_swapped(average, net, n, decay=0.999):
    mix(average, net, 1 - ema_decay(n, decay))
    copy_buffers(average, net)


@mutant("ch03.ema_update")
def forgets_the_buffers(average, net, n, decay=0.999):
    mix(average, net, ema_decay(n, decay))


@mutant("ch03.ema_update")
def averages_the_buffers(average, net, n, decay=0.999):
    d = ema_decay(n, decay)
    mix(average, net, d)
    for kept, new in zip(average.buffers(), net.buffers(), strict=True):
        kept.copy_(d * kept + (1 - d) * new)


@mutant("ch03.ema_update")
def updates_the_net_instead(average, net, n, decay=0.999):
    mix(net, average, ema_decay(n, decay))
    copy_buffers(average, net)


@mutant("ch03.ema_update")
def without_no_grad(average, net, n, decay=0.999):
    d = ema_decay(n, decay)
    for kept, new in zip(average.parameters(), net.parameters(), strict=True):
        kept.lerp_(new, 1 - d)
    copy_buffers(average, net)


@mutant("ch03.ema_update")
def warms_up_one_update_late(average, net, n, decay=0.999):
    mix(average, net, ema_decay(n + 1, decay))
    copy_buffers(average, net)


@mutant("ch03.ema_update")
def default_that_never_moves(average, net, n, decay=0.9999):
    mix(average, net, ema_decay(n, decay))
    copy_buffers(average, net)


@alternative("ch03.ema_update")
@torch.no_grad()
def through_the_state(average, net, n, decay=0.999):
    d, new, trained = ema_decay(n, decay), net.state_dict(), dict(net.named_parameters())
    average.load_state_dict({name: d * kept + (1 - d) * new[name] if name in trained else new[name]
                             for name, kept in average.state_dict().items()})


@alternative("ch03.ema_update")
def with_data_and_mul(average, net, n, decay=0.999):
    d = min(decay, (1 + n) / (10 + n))
    for kept, new in zip(average.parameters(), net.parameters()):
        kept.data.mul_(d).add_(new.data, alpha=1 - d)
    copy_buffers(average, net)
