"""Wrong and right answers of chapter 05 on neighbours: precision and recall, and memorisation."""

import numpy as np
import torch

from minidiff.evaluation.memory import nearest
from minidiff.evaluation.metrics import knn_radii, precision_recall
from tests.mutants import alternative, mutant


def share(points, centres, radii):
    return float((torch.cdist(points, centres) <= radii).any(dim=1).double().mean())


@mutant("ch05.precision_recall")
def recall_first(real, fake, k=3):
    return precision_recall(real, fake, k)[::-1]


@mutant("ch05.precision_recall")
def counts_itself_as_a_neighbour(real, fake, k=3):
    radii = [torch.cdist(x, x).kthvalue(k, dim=1).values for x in (real, fake)]
    return share(fake, real, radii[0]), share(real, fake, radii[1])


@mutant("ch05.precision_recall")
def balls_of_the_real_set_for_both(real, fake, k=3):
    d, radii = torch.cdist(fake, real), knn_radii(real, k)
    return float((d <= radii).any(dim=1).double().mean()), float((d <= radii).any(dim=0).double().mean())


@mutant("ch05.precision_recall")
def one_mean_radius(real, fake, k=3):
    return share(fake, real, knn_radii(real, k).mean()), share(real, fake, knn_radii(fake, k).mean())


@mutant("ch05.precision_recall")
def k_written_by_hand(real, fake, k=3):
    return precision_recall(real, fake, 3)


@mutant("ch05.precision_recall")
def squared_distances(real, fake, k=3):
    d = torch.cdist(fake, real) ** 2
    return (float((d <= knn_radii(real, k)).any(dim=1).double().mean()),
            float((d.T <= knn_radii(fake, k)).any(dim=1).double().mean()))


@mutant("ch05.precision_recall")
def mean_over_pairs(real, fake, k=3):
    d = torch.cdist(fake, real)
    return float((d <= knn_radii(real, k)).double().mean()), float((d.T <= knn_radii(fake, k)).double().mean())


@mutant("ch05.precision_recall")
def ball_of_the_nearest_row_alone(real, fake, k=3):
    def inside(points, centres):
        d, index = torch.cdist(points, centres).min(dim=1)
        return float((d <= knn_radii(centres, k)[index]).double().mean())
    return inside(fake, real), inside(real, fake)


@alternative("ch05.precision_recall")
def by_loops(real, fake, k=3):
    def inside(points, centres):
        radii = [(centres - c).norm(dim=1).sort().values[k] for c in centres]
        hits = [any((p - c).norm() <= r for c, r in zip(centres, radii)) for p in points]
        return sum(hits) / len(hits)
    return inside(fake, real), inside(real, fake)


@alternative("ch05.precision_recall")
def by_broadcasting(real, fake, k=3):
    def inside(points, centres):
        radii = torch.topk(torch.cdist(centres, centres), k + 1, largest=False).values[:, -1]
        d = (points[:, None] - centres[None]).square().sum(dim=-1).sqrt()
        return ((d - radii[None]).min(dim=1).values <= 0).double().mean()
    return inside(fake, real), inside(real, fake)


@mutant("ch05.memorisation_ratio")
def upside_down(samples, train, test):
    return float(nearest(test, train)[0].median() / nearest(samples, train)[0].median())


@mutant("ch05.memorisation_ratio")
def means(samples, train, test):
    return float(nearest(samples, train)[0].mean() / nearest(test, train)[0].mean())


@mutant("ch05.memorisation_ratio")
def nearest_test_picture_of_the_samples(samples, train, test):
    return float(nearest(samples, train)[0].median() / nearest(samples, test)[0].median())


@mutant("ch05.memorisation_ratio")
def nearest_sample_of_the_training_pictures(samples, train, test):
    return float(nearest(train, samples)[0].median() / nearest(train, test)[0].median())


@mutant("ch05.memorisation_ratio")
def squared(samples, train, test):
    return float((nearest(samples, train)[0].median() / nearest(test, train)[0].median()) ** 2)


@mutant("ch05.memorisation_ratio")
def largest_difference_of_a_pixel(samples, train, test):
    def median(x):
        return torch.cdist(x.flatten(1), train.flatten(1), p=torch.inf).min(dim=1).values.median()
    return float(median(samples) / median(test))


@mutant("ch05.memorisation_ratio")
def mean_over_all_training_pictures(samples, train, test):
    def median(x):
        return torch.cdist(x.flatten(1), train.flatten(1)).mean(dim=1).median()
    return float(median(samples) / median(test))


@mutant("ch05.memorisation_ratio")
def indices_in_place_of_distances(samples, train, test):
    return float(nearest(samples, train)[1].double().median() / (1 + nearest(test, train)[1].double().median()))


@alternative("ch05.memorisation_ratio")
def by_cdist(samples, train, test):
    def median(x):
        return torch.cdist(x.flatten(1), train.flatten(1)).min(dim=1).values.median()
    return median(samples) / median(test)


@alternative("ch05.memorisation_ratio")
def picture_by_picture(samples, train, test):
    def distances(x):
        return [float((train - one).square().flatten(1).sum(dim=1).min()) ** 0.5 for one in x]
    return float(np.median(distances(samples)) / np.median(distances(test)))
