"""Wrong and right answers of chapter 09 on straight ways: how straight they are, and the pairs of a flow."""

import torch

from minidiff.samplers.flow import euler_flow
from minidiff.samplers.step import final_sample
from tests.mutants import alternative, mutant


# --- straightness ---------------------------------------------------------------------------------------------------

def parts(states, times):
    steps, moves = times.diff(), states.flatten(2).diff(dim=0)
    return steps, moves, moves / steps[:, None, None]


@mutant("ch09.straightness")
def every_step_counts_alike(states, times):
    steps, moves, speed = parts(states, times)
    return float((speed - moves.sum(dim=0) / steps.sum()).square().sum(dim=2).mean())


@mutant("ch09.straightness")
def mean_of_the_speeds(states, times):
    steps, _, speed = parts(states, times)
    away = (speed - speed.mean(dim=0)).square().sum(dim=2).mean(dim=1)
    return float((steps * away).sum() / steps.sum())


@mutant("ch09.straightness")
def mean_over_coordinates(states, times):
    steps, moves, speed = parts(states, times)
    away = (speed - moves.sum(dim=0) / steps.sum()).square().mean(dim=(1, 2))
    return float((steps * away).sum() / steps.sum())


@mutant("ch09.straightness")
def moves_for_speeds(states, times):
    steps, moves, _ = parts(states, times)
    away = (moves - moves.mean(dim=0)).square().sum(dim=2).mean(dim=1)
    return float((steps * away).sum() / steps.sum())


@mutant("ch09.straightness")
def negative_weights_when_times_fall(states, times):
    steps, moves, speed = parts(states, times)
    away = (speed - moves.sum(dim=0) / steps.sum()).square().sum(dim=2).mean(dim=1)
    return float((steps * away).sum())


@mutant("ch09.straightness")
def whole_way_without_its_time(states, times):
    steps, moves, speed = parts(states, times)
    away = (speed - moves.sum(dim=0)).square().sum(dim=2).mean(dim=1)
    return float((steps * away).sum() / steps.sum())


@mutant("ch09.straightness")
def total_and_no_mean_over_time(states, times):
    steps, moves, speed = parts(states, times)
    away = (speed - moves.sum(dim=0) / steps.sum()).square().sum(dim=2).mean(dim=1)
    return float((steps.abs() * away).sum())


@mutant("ch09.straightness")
def length_of_the_way_over_its_chord(states, times):
    moves = states.flatten(2).diff(dim=0)
    return float((moves.norm(dim=2).sum(dim=0) / moves.sum(dim=0).norm(dim=1)).mean() - 1)


@alternative("ch09.straightness")
def mean_square_minus_square_of_the_mean(states, times):
    weights = times.diff() / (times[-1] - times[0])
    _, _, speed = parts(states, times)
    energy = torch.einsum("i,ibd->b", weights, speed**2)
    whole = ((states[-1] - states[0]).flatten(1) / (times[-1] - times[0])).square().sum(dim=1)
    return (energy - whole).mean()


@alternative("ch09.straightness")
def in_a_loop(states, times):
    whole = (states[-1] - states[0]) / (times[-1] - times[0])
    total = 0.0
    for i in range(len(times) - 1):
        h = times[i + 1] - times[i]
        away = (states[i + 1] - states[i]) / h - whole
        total += abs(float(h)) * float(away.pow(2).sum()) / states.shape[1]
    return total / abs(float(times[-1] - times[0]))


# --- reflow_pairs ---------------------------------------------------------------------------------------------------

@mutant("ch09.reflow_pairs")
def noise_first(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape, generator=generator)
    return eps, torch.cat([final_sample(walk(denoiser, noise, times, path)) for noise in eps.split(batch)])


@mutant("ch09.reflow_pairs")
def fresh_noise_beside_the_picture(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape, generator=generator)
    x0 = torch.cat([final_sample(walk(denoiser, noise, times, path)) for noise in eps.split(batch)])
    return x0, torch.randn(shape, generator=generator)


@mutant("ch09.reflow_pairs")
def shuffled(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape, generator=generator)
    x0 = torch.cat([final_sample(walk(denoiser, noise, times, path)) for noise in eps.split(batch)])
    return x0, eps[torch.randperm(len(eps), generator=generator)]


@mutant("ch09.reflow_pairs")
def always_by_euler(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape, generator=generator)
    return torch.cat([final_sample(euler_flow(denoiser, noise, times, path)) for noise in eps.split(batch)]), eps


@mutant("ch09.reflow_pairs")
def first_guess_for_the_end(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape, generator=generator)
    return torch.cat([next(iter(walk(denoiser, noise, times, path)))[2] for noise in eps.split(batch)]), eps


@mutant("ch09.reflow_pairs")
def one_walk_for_all(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape, generator=generator)
    return final_sample(walk(denoiser, eps, times, path)), eps


@mutant("ch09.reflow_pairs")
def forgets_the_rest(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape, generator=generator)
    whole = max(1, len(eps) // batch) * batch
    x0 = torch.cat([final_sample(walk(denoiser, noise, times, path)) for noise in eps[:whole].split(batch)])
    return x0, eps[:whole]


@mutant("ch09.reflow_pairs")
def noise_from_nowhere(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape)
    return torch.cat([final_sample(walk(denoiser, noise, times, path)) for noise in eps.split(batch)]), eps


@alternative("ch09.reflow_pairs")
def filled_in_slices(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    eps = torch.randn(shape, generator=generator)
    x0 = torch.empty_like(eps)
    for i in range(0, len(eps), batch):
        *_, (_, x0[i:i + batch], _) = walk(denoiser, eps[i:i + batch], times, path)
    return x0, eps


@alternative("ch09.reflow_pairs")
def joined_from_a_list(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    noise, ends = torch.randn(*shape, generator=generator), []
    for part in torch.split(noise, batch):
        for _, x, _ in walk(denoiser, part, times, path):
            pass
        ends.append(x)
    return torch.vstack(ends), noise
