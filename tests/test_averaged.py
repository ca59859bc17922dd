"""The net halfway between where a training began and where it ended."""

import sys
from dataclasses import replace

import pytest
import torch
from test_project import PROJECT

from fkp_utils.landmarks import IBUG_68
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import Trained, new_model
from fkp_utils.nets.weights import load_weights, save_weights

sys.path.insert(0, str(PROJECT / "bench" / "real_photos"))

import averaged

TINY = Recipe("tiny", "UNet", (32, 32), 1, 1, 1e-3, target="heatmaps", loss="cross_entropy", sigma=2.0, width=4)


def write(path, number, recipe=TINY):
    """A net whose floats are all `number`, and whose counters of batches are 10 times that."""
    model = new_model(recipe)
    model.load_state_dict({name: torch.full_like(value, number if value.is_floating_point() else 10 * number)
                           for name, value in model.state_dict().items()})
    save_weights(path, Trained(model, make_target(recipe, torch.zeros(1, 68, 2)), recipe, IBUG_68))


def test_floats_are_halfway_and_counters_those_of_the_end(tmp_path, monkeypatch):
    start, end, out = (tmp_path / f"{name}.safetensors" for name in ("start", "end", "out"))
    write(start, 1)
    write(end, 4)
    monkeypatch.setattr("sys.argv", ["averaged.py", str(start), str(end), str(out)])
    averaged.main()
    state = load_weights(out).model.state_dict()
    assert {value.unique().item() for value in state.values() if value.is_floating_point()} == {2.5}
    assert {value.item() for value in state.values() if not value.is_floating_point()} == {40}


def test_another_kind_of_net_is_refused_by_name(tmp_path):
    write(tmp_path / "narrow.safetensors", 1)
    write(tmp_path / "wide.safetensors", 1, replace(TINY, width=8))
    with pytest.raises(ValueError, match=r"narrow\.safetensors: a UNet of width 4, and no mean of it and a UNet of width 8"):
        averaged.averaged(load_weights(tmp_path / "wide.safetensors"), tmp_path / "narrow.safetensors")
