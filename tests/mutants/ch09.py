"""Wrong and right answers of chapter 09 on velocity, loss and walk; on straight ways in ch09_reflow."""

import torch
import torch.nn.functional as F

from minidiff.process.flow import cfm_loss, pair_of_velocity, rates, velocity_of
from minidiff.process.forward import expand_like
from minidiff.samplers.flow import euler_flow
from tests.mutants import alternative, mutant


# --- cfm_loss -------------------------------------------------------------------------------------------------------

def mixed(x0, t, eps, path):
    return expand_like(path.alpha(t), x0) * x0 + expand_like(path.sigma(t), x0) * eps


@mutant("ch09.cfm_loss")
def velocity_from_noise_to_picture(velocity, x0, t, eps, path):
    return (velocity(mixed(x0, t, eps, path), t) + velocity_of(x0, eps, t, path)).square().mean()


@mutant("ch09.cfm_loss")
def straight_on_every_path(velocity, x0, t, eps, path):
    return (velocity(mixed(x0, t, eps, path), t) - (eps - x0)).square().mean()


@mutant("ch09.cfm_loss")
def picture_and_noise_swapped(velocity, x0, t, eps, path):
    return (velocity(mixed(eps, t, x0, path), t) - velocity_of(x0, eps, t, path)).square().mean()


@mutant("ch09.cfm_loss")
def one_line_for_all_paths(velocity, x0, t, eps, path):
    s = expand_like(t, x0)
    return (velocity((1 - s) * x0 + s * eps, t) - velocity_of(x0, eps, t, path)).square().mean()


@mutant("ch09.cfm_loss")
def absolute_error(velocity, x0, t, eps, path):
    return (velocity(mixed(x0, t, eps, path), t) - velocity_of(x0, eps, t, path)).abs().mean()


@mutant("ch09.cfm_loss")
def sum_over_the_pixels(velocity, x0, t, eps, path):
    error = velocity(mixed(x0, t, eps, path), t) - velocity_of(x0, eps, t, path)
    return error.square().flatten(1).sum(dim=1).mean()


@mutant("ch09.cfm_loss")
def time_of_the_net(velocity, x0, t, eps, path):
    return (velocity(mixed(x0, t, eps, path), path.net_time(t)) - velocity_of(x0, eps, t, path)).square().mean()


@mutant("ch09.cfm_loss")
def asks_at_the_picture(velocity, x0, t, eps, path):
    return (velocity(x0, t) - velocity_of(x0, eps, t, path)).square().mean()


@mutant("ch09.cfm_loss")
def predicts_the_noise(velocity, x0, t, eps, path):
    return (velocity(mixed(x0, t, eps, path), t) - eps).square().mean()


@mutant("ch09.cfm_loss")
def no_gradient(velocity, x0, t, eps, path):
    return (velocity(mixed(x0, t, eps, path), t).detach() - velocity_of(x0, eps, t, path)).square().mean()


@alternative("ch09.cfm_loss")
def by_the_slopes(velocity, x0, t, eps, path):
    a, b, da, db = (expand_like(u, x0) for u in (path.alpha(t), path.sigma(t), *rates(path, t)))
    return F.mse_loss(velocity(a * x0 + b * eps, t), da * x0 + db * eps)


@alternative("ch09.cfm_loss")
def picture_by_picture(velocity, x0, t, eps, path):
    answer, target = velocity(mixed(x0, t, eps, path), t), velocity_of(x0, eps, t, path)
    return torch.stack([(a - b).pow(2).mean() for a, b in zip(answer, target)]).mean()


# --- euler_flow -----------------------------------------------------------------------------------------------------

@torch.no_grad()
def stroll(denoiser, x, times, path, move, ask=lambda t, s: t):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, ask(t, s))
        x = move(x, x0, eps, t, s)
        yield float(s), x, x0


@mutant("ch09.euler_flow")
def walks_towards_the_noise(denoiser, x, times, path):
    yield from stroll(denoiser, x, times, path,
                      lambda x, x0, eps, t, s: x + float(t - s) * velocity_of(x0, eps, t, path))


@mutant("ch09.euler_flow")
def straight_everywhere(denoiser, x, times, path):
    yield from stroll(denoiser, x, times, path, lambda x, x0, eps, t, s: x + float(s - t) * (eps - x0))


@mutant("ch09.euler_flow")
def steps_of_one_length(denoiser, x, times, path):
    h = float(times[0] - times[-1]) / (len(times) - 1)
    yield from stroll(denoiser, x, times, path, lambda x, x0, eps, t, s: x - h * velocity_of(x0, eps, t, path))


@mutant("ch09.euler_flow")
def asks_where_it_arrives(denoiser, x, times, path):
    yield from stroll(denoiser, x, times, path,
                      lambda x, x0, eps, t, s: x + float(s - t) * velocity_of(x0, eps, t, path), lambda t, s: s)


@mutant("ch09.euler_flow")
def jumps_to_the_picture_and_adds_noise_again(denoiser, x, times, path):
    yield from stroll(denoiser, x, times, path,
                      lambda x, x0, eps, t, s: float(path.alpha(s)) * x0 + float(path.sigma(s)) * eps)


@mutant("ch09.euler_flow")
def starts_over_in_every_step(denoiser, x, times, path):
    start = x
    yield from stroll(denoiser, x, times, path,
                      lambda x, x0, eps, t, s: start + float(s - t) * velocity_of(x0, eps, t, path))


@mutant("ch09.euler_flow")
def yields_where_it_was(denoiser, x, times, path):
    for t, s in zip(times[:-1], times[1:]):
        with torch.no_grad():
            x0, eps = denoiser(x, t)
            yield float(s), x, x0
            x = x + float(s - t) * velocity_of(x0, eps, t, path)


@mutant("ch09.euler_flow")
def keeps_gradients(denoiser, x, times, path):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        x = x + float(s - t) * velocity_of(x0, eps, t, path)
        yield float(s), x, x0


@mutant("ch09.euler_flow")
def gives_a_list(denoiser, x, times, path):
    return list(euler_flow(denoiser, x, times, path))


@alternative("ch09.euler_flow")
@torch.no_grad()
def by_the_slopes_of_the_path(denoiser, x, times, path):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        a, b = rates(path, t)
        x = x - float((t - s) * a) * x0 - float((t - s) * b) * eps
        yield s.item(), x, x0


@alternative("ch09.euler_flow")
def with_a_while_loop(denoiser, x, times, path):
    i = 0
    while i < len(times) - 1:
        with torch.no_grad():
            t, h = times[i], (times[i + 1] - times[i]).to(x.dtype)
            x0, eps = denoiser(x, t)
            x = torch.add(x, h * velocity_of(x0, eps, t, path))
        i += 1
        yield float(times[i]), x, x0


# --- velocity_to_score ----------------------------------------------------------------------------------------------

@mutant("ch09.velocity_to_score")
def sign_of_the_noise(u, x_t, t, path):
    return pair_of_velocity(u, x_t, t, path)[1] / expand_like(path.sigma(t), x_t)


@mutant("ch09.velocity_to_score")
def noise_without_its_scale(u, x_t, t, path):
    return -pair_of_velocity(u, x_t, t, path)[1]


@mutant("ch09.velocity_to_score")
def divides_by_the_variance(u, x_t, t, path):
    return -pair_of_velocity(u, x_t, t, path)[1] / expand_like(path.sigma(t), x_t) ** 2


@mutant("ch09.velocity_to_score")
def picture_for_noise(u, x_t, t, path):
    return -pair_of_velocity(u, x_t, t, path)[0] / expand_like(path.sigma(t), x_t)


@mutant("ch09.velocity_to_score")
def straight_path_for_all(u, x_t, t, path):
    s = expand_like(t, x_t)
    return -(x_t + (1 - s) * u) / s


@mutant("ch09.velocity_to_score")
def time_runs_the_other_way(u, x_t, t, path):
    return -pair_of_velocity(-u, x_t, t, path)[1] / expand_like(path.sigma(t), x_t)


@mutant("ch09.velocity_to_score")
def velocity_is_the_noise(u, x_t, t, path):
    return -u / expand_like(path.sigma(t), x_t)


@alternative("ch09.velocity_to_score")
def by_the_determinant(u, x_t, t, path):
    a, b, da, db = (expand_like(v, x_t) for v in (path.alpha(t), path.sigma(t), *rates(path, t)))
    return (da * x_t - a * u) / (b * (a * db - b * da))


@alternative("ch09.velocity_to_score")
def by_the_picture(u, x_t, t, path):
    x0, _ = pair_of_velocity(u, x_t, t, path)
    return (expand_like(path.alpha(t), x_t) * x0 - x_t) / expand_like(path.sigma(t) ** 2, x_t)


@mutant("ch09.cfm_loss")
def velocity_asked_at_the_share_of_T(velocity, x0, t, eps, path):
    return cfm_loss(lambda x, t: velocity(x, t / path.T), x0, t, eps, path)
