"""Does a net look where a word's object is? Maps of attention against masks of objects."""

import torch.nn.functional as F


def map_iou(maps, masks):
    """Intersection over union of an object and the pixels that a map prefers: (N,) in [0, 1].

    maps: (N, h, w), how much each place takes from a word, enlarged to the size of the masks (bilinear); masks:
    (N, H, W) bool, where the word's object is seen. Of each map count as many pixels as the object has, those of the
    largest values (and all that equal the least of these), so no threshold is chosen. Raises ValueError for a mask
    without a pixel.
    """
    if not masks.flatten(1).any(dim=1).all():
        raise ValueError("each mask must have a pixel: what is not seen has no place")
    large = F.interpolate(maps[:, None], masks.shape[1:], mode="bilinear").flatten(1)
    masks = masks.flatten(1)
    ranked = large.sort(dim=1, descending=True).values
    least = ranked.gather(1, masks.sum(dim=1, keepdim=True) - 1)
    chosen = large >= least
    return (chosen & masks).sum(dim=1) / (chosen | masks).sum(dim=1)
