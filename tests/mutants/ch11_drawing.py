"""Wrong and right answers to the exercises of chapter 11 about nets that draw what one types."""

from functools import partial

import torch
import torch.nn.functional as F

from minidiff.process.continuous import vp_path
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.targets import EPS, X0
from minidiff.process.weighted_loss import weighted_loss
from minidiff.recipes.clip_prior import dropped
from tests.mutants import alternative, mutant

# --- map_iou --------------------------------------------------------------------------------------------------------

def enlarged(maps, masks, **mode):
    return F.interpolate(maps[:, None], masks.shape[1:], **mode).flatten(1), masks.flatten(1)


def largest(large, k):
    """Whether a pixel is one of the k (N,) largest of its row, or equal to the least of these."""
    return large >= large.sort(dim=1, descending=True).values.gather(1, k[:, None] - 1)


def shared(chosen, masks):
    return (chosen & masks).sum(dim=1) / (chosen | masks).sum(dim=1)


@mutant("ch11.map_iou")
def nearest_pixels(maps, masks):
    large, masks = enlarged(maps, masks, mode="nearest")
    return shared(largest(large, masks.sum(dim=1)), masks)


@mutant("ch11.map_iou")
def over_the_object_alone(maps, masks):
    large, masks = enlarged(maps, masks, mode="bilinear")
    return (largest(large, masks.sum(dim=1)) & masks).sum(dim=1) / masks.sum(dim=1)


@mutant("ch11.map_iou")
def above_half_of_the_largest(maps, masks):
    large, masks = enlarged(maps, masks, mode="bilinear")
    return shared(large >= large.amax(dim=1, keepdim=True) / 2, masks)


@mutant("ch11.map_iou")
def as_many_as_the_first_object(maps, masks):
    large, masks = enlarged(maps, masks, mode="bilinear")
    return shared(largest(large, masks.sum(dim=1)[:1].expand(len(masks))), masks)


@mutant("ch11.map_iou")
def only_larger_ones(maps, masks):
    large, masks = enlarged(maps, masks, mode="bilinear")
    least = large.sort(dim=1, descending=True).values.gather(1, masks.sum(dim=1)[:, None] - 1)
    return shared(large > least, masks)


@mutant("ch11.map_iou")
def the_smallest_values(maps, masks):
    large, masks = enlarged(-maps, masks, mode="bilinear")
    return shared(largest(large, masks.sum(dim=1)), masks)


@mutant("ch11.map_iou")
def all_pictures_together(maps, masks):
    large, masks = enlarged(maps, masks, mode="bilinear")
    chosen = largest(large, masks.sum(dim=1))
    return ((chosen & masks).sum() / (chosen | masks).sum()).expand(len(masks)).clone()


@mutant("ch11.map_iou")
def small_masks_instead_of_large_maps(maps, masks):
    small = F.interpolate(masks[:, None].float(), maps.shape[1:], mode="area")[:, 0] >= 0.5
    k = small.flatten(1).sum(dim=1).clamp(min=1)
    return shared(largest(maps.flatten(1), k), small.flatten(1)).float()


@alternative("ch11.map_iou")
def one_after_the_other(maps, masks):
    found = []
    for row, mask in zip(maps, masks):
        large = F.interpolate(row[None, None], mask.shape, mode="bilinear")[0, 0]
        chosen = large >= large.flatten().topk(int(mask.sum())).values[-1]
        found.append((chosen & mask).sum() / (chosen | mask).sum())
    return torch.stack(found)


@alternative("ch11.map_iou")
def by_sums_of_sizes(maps, masks):
    large, masks = enlarged(maps, masks, mode="bilinear", align_corners=False)
    chosen = largest(large, masks.sum(dim=1))
    both = (chosen & masks).sum(dim=1).float()
    return both / (chosen.sum(dim=1) + masks.sum(dim=1) - both)


# --- prior_loss -----------------------------------------------------------------------------------------------------

def with_text(config, tell=None, target=X0, path=None, **more):
    """The loss with one step open to change. tell: (text, rate, generator) -> what the net is told."""
    def loss(net, batch, generator):
        text = (tell or dropped)(batch["text"], config["untold"], generator)
        return weighted_loss(partial(net, text=text), batch["x"], path or flow_path(), target, generator, **more)
    return loss


@mutant("ch11.prior_loss")
def predicts_the_noise(config):
    return with_text(config, target=EPS)


@mutant("ch11.prior_loss")
def predicts_the_velocity(config):
    return with_text(config, target=FLOW)


@mutant("ch11.prior_loss")
def never_drops(config):
    return with_text(config, tell=lambda text, rate, generator: text)


@mutant("ch11.prior_loss")
def keeps_what_should_go(config):
    return with_text(config, tell=lambda text, rate, generator: dropped(text, 1 - rate, generator))


@mutant("ch11.prior_loss")
def drops_numbers_and_not_texts(config):
    return with_text(config, tell=lambda text, rate, generator:
                     text * (torch.rand(text.shape, generator=generator) >= rate))


@mutant("ch11.prior_loss")
def drops_all_or_none(config):
    return with_text(config, tell=lambda text, rate, generator:
                     text * float(torch.rand((), generator=generator) >= rate))


@mutant("ch11.prior_loss")
def scales_what_is_left(config):
    return with_text(config, tell=lambda text, rate, generator:
                     dropped(text, rate, generator) / max(1 - rate, 1e-6))


@mutant("ch11.prior_loss")
def noise_for_none(config):
    def tell(text, rate, generator):
        gone = (torch.rand(len(text), 1, generator=generator) < rate).to(text)
        return (1 - gone) * text + gone * torch.randn(text.shape, generator=generator)
    return with_text(config, tell=tell)


@mutant("ch11.prior_loss")
def weighs_by_the_signal(config):
    return with_text(config, weight=lambda snr: snr.clamp(max=5.0))


@mutant("ch11.prior_loss")
def another_path(config):
    return with_text(config, path=vp_path())


@mutant("ch11.prior_loss")
def draws_the_text_for_a_picture(config):
    def loss(net, batch, generator):
        told = partial(net, text=dropped(batch["x"], config["untold"], generator))
        return weighted_loss(told, batch["text"], flow_path(), X0, generator)
    return loss


@mutant("ch11.prior_loss")
def maps_without_noise(config):
    """A net that is shown the text alone: regression, which answers with a mean."""
    def loss(net, batch, generator):
        text = dropped(batch["text"], config["untold"], generator)
        t = 1000 * torch.rand(len(text), generator=generator)
        return (net(torch.zeros_like(batch["x"]), t, text=text) - batch["x"]).square().mean(), {}
    return loss


@mutant("ch11.prior_loss")
def one_time_for_all(config):
    def loss(net, batch, generator):
        x, text = batch["x"], dropped(batch["text"], config["untold"], generator)
        t = torch.rand((), generator=generator)
        x_t = (1 - t) * x + t * torch.randn(x.shape, generator=generator)
        return (net(x_t, (1000 * t).expand(len(x)), text=text) - x).square().mean(), {}
    return loss


@mutant("ch11.prior_loss")
def asks_at_times_up_to_one(config):
    def loss(net, batch, generator):
        x, text = batch["x"], dropped(batch["text"], config["untold"], generator)
        t = torch.rand(len(x), generator=generator)
        x_t = (1 - t)[:, None] * x + t[:, None] * torch.randn(x.shape, generator=generator)
        return (net(x_t, t, text=text) - x).square().mean(), {}
    return loss


@mutant("ch11.prior_loss")
def adds_up_over_a_vector(config):
    whole = with_text(config)

    def loss(net, batch, generator):
        value, logs = whole(net, batch, generator)
        return value * batch["x"].shape[1], logs
    return loss


@alternative("ch11.prior_loss")
def by_hand(config):
    def loss(net, batch, generator):
        x = batch["x"]
        t = torch.rand(len(x), generator=generator)
        x_t = torch.lerp(x, torch.randn(x.shape, generator=generator), t[:, None])
        keeps = torch.rand(len(x), 1, generator=generator) >= config["untold"]
        return F.mse_loss(net(x_t, 1000 * t, text=torch.where(keeps, batch["text"], 0.0)), x), {}
    return loss


@alternative("ch11.prior_loss")
def with_a_net_of_its_own(config):
    def loss(net, batch, generator):
        gone = torch.rand(len(batch["x"]), generator=generator) < config["untold"]
        text = batch["text"].masked_fill(gone[:, None], 0)

        def told(x, t):
            return net(x, t, text=text)
        return weighted_loss(told, batch["x"], flow_path(), X0, generator, weight=lambda snr: torch.ones_like(snr))
    return loss
