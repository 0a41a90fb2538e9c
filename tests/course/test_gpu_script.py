"""`make gpu` without a card: every line of benchmarks/gpu.py runs, and whatever cuts it off, it keeps what it has."""

import importlib.util
import json
import os
import signal
from dataclasses import replace

import pytest
import torch

from minidiff.recipes.recipe import load
from tests.course.tree import ROOT


@pytest.fixture
def gpu():
    """benchmarks/gpu.py as a module of its own."""
    spec = importlib.util.spec_from_file_location("gpu_script", ROOT / "benchmarks" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dry_run(gpu, monkeypatch, out, *words):
    """Its exit status and its record, in a run that may not touch the committed one."""
    committed = ROOT / "benchmarks" / "gpu.json"
    before = committed.read_bytes() if committed.exists() else None
    monkeypatch.setattr("sys.argv", ["gpu.py", "--dry-run", "--out", str(out), *words])
    with pytest.raises(SystemExit) as end:
        gpu.main()
    assert before == (committed.read_bytes() if committed.exists() else None)
    return end.value.code, json.loads((out / "gpu.json").read_text())


def test_every_part_leaves_its_record(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "TESTS_LIMIT", 900)  # a machine that is busy is not a card that hangs
    status, record = dry_run(gpu, monkeypatch, tmp_path)
    assert status == 0 and record["ceilings"]["copy_gb_per_s"] > 0
    assert record["tests"]["passed" if torch.cuda.is_available() else "skipped"] > 10 and not record["tests"]["lines"]
    for name in ("mnist-flow", "mnist-ddpm"):
        found = record[name]
        assert found["images"] == 48 and found["images_per_second"] > 0 and found["compile_seconds"] >= 0
        assert found["hardware"] and found["metrics"]["distance"] > 100 and found["metrics"]["times_floor"] > 1
        assert found["speed"]["mb_per_image"] > found["speed"]["mb_per_image_all_merged"] > 0
        assert found["speed"]["gflop_per_image"] > 0 and found["drawing"]["n"] == 20
        assert load(tmp_path / name)[0].name == name


def test_the_nets_that_draw_from_captions_leave_theirs_when_asked_for(gpu, monkeypatch, tmp_path):
    status, record = dry_run(gpu, monkeypatch, tmp_path, "--parts", "shapes-text", "emoji-text")
    assert status == 0 and record.keys().isdisjoint(gpu.ALWAYS)
    for name in ("shapes-text", "emoji-text"):
        assert record[name]["images"] == 48 and record[name]["speed"]["gflop_per_image"] > 0
        recipe, net = load(tmp_path / name)
        assert recipe.name == name and len(net.encoder.layers) == recipe.presets["cuda"]["net"]["text"]["depth"]
    assert record["shapes-text"]["metrics"]["whole"] == 0 and record["emoji-text"]["metrics"] == {}


def test_cut_off_while_it_trains_it_keeps_the_model_so_far(gpu, monkeypatch, tmp_path):
    recipe, calls = gpu.find("mnist-flow"), []

    def loss(config):
        of_recipe = recipe.loss(config)

        def loss_fn(net, batch, generator):
            calls.append(1)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return of_recipe(net, batch, generator)
        return loss_fn
    monkeypatch.setattr(gpu, "find", lambda name: replace(recipe, loss=loss))
    status, record = dry_run(gpu, monkeypatch, tmp_path, "--parts", "mnist-flow", "mnist-ddpm")
    assert record["mnist-flow"]["steps"] == 2 and record["mnist-flow"]["stopped"] and "mnist-ddpm" not in record
    assert status == 143 and load(tmp_path / "mnist-flow")[0].name == "mnist-flow"


def test_a_part_that_fails_does_not_take_the_others_with_it(gpu, monkeypatch, tmp_path, capsys):
    def parts(name, *more):
        yield {"steps": 7}
        if name == "mnist-flow":
            raise RuntimeError("out of memory")
        yield {"steps": 8}
    monkeypatch.setattr(gpu, "trained_and_measured", parts)
    status, record = dry_run(gpu, monkeypatch, tmp_path, "--parts", "mnist-flow", "mnist-ddpm")
    assert status == 1 and record["mnist-flow"] == {"steps": 7, "failed": "RuntimeError: out of memory"}
    assert record["mnist-ddpm"] == {"steps": 8}
    status, record = dry_run(gpu, monkeypatch, tmp_path, "--parts", "mnist-ddpm", "--limit", "60")
    assert status == 0 and "mnist-ddpm" not in record and "mnist-ddpm left out" in capsys.readouterr().out


def test_the_traffic_of_a_product_is_its_factors_and_its_result(gpu):
    a, b = torch.zeros(4, 8), torch.zeros(8, 2)
    with gpu.Traffic() as traffic:
        c = (a @ b).view(8).reshape(2, 4).t()
    assert traffic.products == traffic.all == 4 * (32 + 16 + 8)
    with traffic:
        c + 1
    assert traffic.all == 4 * (56 + 16) and traffic.products == 4 * 56
