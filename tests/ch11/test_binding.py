"""Words that are swapped, the errors that they cost, and the two ways in of a text; what the records say of them."""

import json

import pytest
import torch

from minidiff.data.shapes import shapes
from minidiff.data.shapes_words import COLOURS, SHAPES, say, understand
from minidiff.data.tokenizer import split
from minidiff.evaluation.attention import map_iou
from minidiff.evaluation.binding import can_swap, errors_by_time, swapped, two_ways_in, word_places
from minidiff.process.flow import flow_path
from tests.ch11.test_text_cross_attention import text_unet
from tests.conftest import ROOT

PAIR = understand("a small red circle above a large blue star")


def test_a_swap_keeps_the_words_and_changes_what_is_said():
    assert say(swapped(PAIR, "colours")) == "a small blue circle above a large red star"
    assert say(swapped(PAIR, "shapes")) == "a small red star above a large blue circle"
    for what in ("colours", "shapes"):
        assert sorted(split(say(swapped(PAIR, what)))) == sorted(split(say(PAIR)))
        assert swapped(swapped(PAIR, what), what) == PAIR
    with pytest.raises(ValueError, match="must be one of colours, shapes, got 'sizes'"):
        swapped(PAIR, "sizes")


@pytest.mark.parametrize("caption", ["a red circle", "a red circle and a red star", "a red circle and a blue circle",
                                     "two red circles and a blue star", "a red circle, a blue star and a black heart"])
def test_what_a_swap_would_not_change_or_not_define_is_refused(caption):
    assert not can_swap(understand(caption))
    with pytest.raises(ValueError, match="only two single things"):
        swapped(understand(caption), "colours")


def test_the_places_of_words_are_those_of_the_things_in_order():
    made = shapes(200, seed=3)
    for caption, description in zip(made.captions, made.descriptions, strict=True):
        words, places = ["", *split(caption)], word_places(caption)
        assert [words[i] for i in places["colour"]] == [thing.colour for thing in description.things]
        shown = [next(s for s in SHAPES if words[i].startswith(s)) for i in places["shape"]]
        assert shown == [thing.shape for thing in description.things]
        assert all(words[i] in COLOURS for i in places["colour"])


def test_captions_meet_the_same_noise_at_every_time():
    seen = []

    def net(x_t, t, tokens):
        seen.append((x_t, t))
        return tokens[:, :1, None, None].float().expand_as(x_t)

    x0 = torch.zeros(3, 1, 4, 4)
    found = errors_by_time(net, x0, {"a": torch.full((3, 2), 2), "b": torch.full((3, 2), 5)}, [0.2, 0.9], flow_path(),
                           torch.Generator().manual_seed(0))
    assert torch.equal(found["a"], torch.full((2, 3), 4.0)) and torch.equal(found["b"], torch.full((2, 3), 25.0))
    assert torch.equal(seen[0][0], seen[1][0]) and not torch.equal(seen[0][0], seen[2][0])
    assert [float(t[0]) for _, t in seen] == pytest.approx([200, 200, 900, 900])


@pytest.mark.parametrize("reads", ["self+cross", "joint"])
def test_the_two_ways_in_with_one_text_are_the_net_itself(reads):
    net, x, t = text_unet(reads), torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.tensor([3.0, 700.0])
    one, other = torch.tensor([[1, 5, 6, 2, 0, 0], [1, 6, 5, 7, 8, 2]]), torch.tensor([[1, 9, 2, 0, 0, 0]] * 2)
    read = two_ways_in(net)
    torch.testing.assert_close(read(x, t, torch.stack([one, one], dim=1)), net(x, t, tokens=one))
    words, whole = read(x, t, torch.stack([other, one], dim=1)), read(x, t, torch.stack([one, other], dim=1))
    assert all((a - b).abs().max() > 1e-4 for a, b in ((words, whole), (words, net(x, t, tokens=one))))


def test_a_net_without_the_mean_has_no_second_way_in():
    net = text_unet("joint")
    net.mean = False
    with pytest.raises(ValueError, match="one way in only"):
        two_ways_in(net)


def test_a_mask_without_a_pixel_has_no_map():
    with pytest.raises(ValueError, match="each mask must have a pixel"):
        map_iou(torch.zeros(2, 4, 4), torch.zeros(2, 8, 8, dtype=torch.bool))


def test_the_record_of_captions_says_that_relations_are_learned_from_captions_that_have_them():
    rows = {row["told"]: row for row in json.loads((ROOT / "benchmarks" / "binding.json").read_text())["captions"]}
    lay = {told: row["asked in long"]["as said"] for told, row in rows.items()}
    sure = 2 * (0.5 / rows["long"]["n"]) ** 0.5
    assert lay["long"] > lay["short"] + sure and lay["long"] > lay["long, a bag of words"] + sure
    assert len({row["images"] for row in rows.values()}) == 1


def probes():
    return json.loads((ROOT / "benchmarks" / "binding.json").read_text())["probe"]


def test_the_first_net_read_which_words_there_are_and_not_whose():
    first = probes()["with the mean"]
    at = first["times"].index(0.7)
    none, another = (first["more"][name][at][0] for name in ("none", "another"))
    for name in ("colours swapped", "shapes swapped"):
        assert first["more"][name][at][0] < none / 5 < none < another
    words, mean = (first["ways"][name][at][0] for name in ("words of another", "mean of another"))
    assert mean > 20 * words


def test_without_a_mean_swapped_colours_cost_more_and_colours_look_at_their_own_object():
    record = json.loads((ROOT / "benchmarks" / "binding.json").read_text())
    at, (first, committed) = 4, (probes()[name] for name in ("with the mean", "committed"))
    assert first["mean"] and not committed["mean"]
    assert first["times"] == committed["times"] and "ways" not in committed
    mean, error = committed["more"]["colours swapped"][at]
    assert mean - 3 * error > first["more"]["colours swapped"][at][0]
    best = {name: max(row["own"] - row["other"] for row in rows if row["head"] == "mean" and row["word"] == "colour")
            for name, rows in record["maps"].items()}
    assert best["with the mean"] < 0.1 and best["committed"] > 0.2


def test_the_record_of_copies_has_the_whole_run_and_the_committed_net():
    record = json.loads((ROOT / "benchmarks" / "copies.json").read_text())
    first, *_, last = record["rows"]
    assert last["images"] == "committed" and len(record["rows"]) >= 5
    assert all(last["error"][kind]["0.6"] < first["error"][kind]["0.6"] for kind in ("training", "held out"))
    assert record["held-out pictures"]["least distance"] > 0
