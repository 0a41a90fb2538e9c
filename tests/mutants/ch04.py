"""Wrong and right answers to the embedding of chapter 04; blocks stand in ch04_blocks, walks in ch04_walks."""

import math

import torch

from tests.mutants import alternative, mutant


def frequencies(dim, max_period, i=0):
    return max_period ** (-(torch.arange(dim // 2) + i).float() / (dim // 2))


@mutant("ch04.sin_embed")
def sines_first(t, dim, max_period=10_000.0):
    angles = t.float()[..., None] * frequencies(dim, max_period)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


@mutant("ch04.sin_embed")
def interleaved(t, dim, max_period=10_000.0):
    angles = t.float()[..., None] * frequencies(dim, max_period)
    return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(-2)


@mutant("ch04.sin_embed")
def exponent_over_dim(t, dim, max_period=10_000.0):
    f = max_period ** (-torch.arange(dim // 2).float() / dim)
    angles = t.float()[..., None] * f
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


@mutant("ch04.sin_embed")
def falls_to_the_last_frequency_one_step_early(t, dim, max_period=10_000.0):
    f = max_period ** (-torch.arange(dim // 2).float() / (dim // 2 - 1))
    angles = t.float()[..., None] * f
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


@mutant("ch04.sin_embed")
def max_period_written_by_hand(t, dim, max_period=10_000.0):
    angles = t.float()[..., None] * frequencies(dim, 10_000.0)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


@mutant("ch04.sin_embed")
def time_divided_by_thousand(t, dim, max_period=10_000.0):
    angles = t.float()[..., None] / 1000 * frequencies(dim, max_period)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


@mutant("ch04.sin_embed")
def one_column_per_image(t, dim, max_period=10_000.0):
    angles = t.float() * frequencies(dim, max_period)[..., None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


@mutant("ch04.sin_embed")
def frequencies_that_rise(t, dim, max_period=10_000.0):
    angles = t.float()[..., None] * frequencies(dim, max_period).flip(0)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


@mutant("ch04.sin_embed")
def with_two_pi(t, dim, max_period=10_000.0):
    angles = 2 * math.pi * t.float()[..., None] * frequencies(dim, max_period)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


@alternative("ch04.sin_embed")
def by_real_and_imaginary_parts(t, dim, max_period=10_000.0):
    wave = torch.exp(1j * t.float().unsqueeze(-1) * frequencies(dim, max_period))
    return torch.cat([wave.real, wave.imag], dim=-1)


@alternative("ch04.sin_embed")
def filled_in_halves(t, dim, max_period=10_000.0):
    t, half = t.to(torch.float32), dim // 2
    out = torch.empty(*t.shape, dim)
    for i in range(half):
        out[..., i] = torch.cos(t * max_period ** (-2 * i / dim))
        out[..., half + i] = torch.sin(t * max_period ** (-2 * i / dim))
    return out


# --- one precision lower --------------------------------------------------------------------------------------------

@mutant("ch04.sin_embed")
def angles_in_bfloat16(t, dim, max_period=10_000.0):
    i = torch.arange(dim // 2, dtype=torch.float32)
    angles = (t.float()[..., None].bfloat16() * max_period ** (-i / (dim // 2)).bfloat16()).float()
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
