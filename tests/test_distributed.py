"""Training on several processes: the same numbers as on one, a clear end when one dies, going on with fewer."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toy import ToyFaces

from fkp_utils.augment import Augment
from fkp_utils.datasets import registered
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import new_model
from fkp_utils.training import distributed
from fkp_utils.training.distributed import GlooBatchNorm2d
from fkp_utils.training.loop import fit

pytestmark = pytest.mark.training

AUGMENT = Augment(rotate=15, shift=0.05, noise=0.05, occlude=0.5)
# Batches of 4 of 9 faces: the last has one row, so that one process has none. Batch norm over so few pixels makes
# rounding grow (initial weights 1e-7 apart end 4e-3 apart on one process), hence batches of 5 and small steps.
RECIPES = {"NoseNet": Recipe("Part 1", "NoseNet", (60, 80), epochs=3, batch=4, lr=1e-3, data="imm_nose", augment=AUGMENT),
           "FaceNet": Recipe("Part 2", "FaceNet", (180, 240), epochs=3, batch=4, lr=1e-4, data="imm", augment=AUGMENT,
                             ema=0.9),
           "ResNet": Recipe("Part 3", "ResNet", (64, 64), epochs=3, batch=5, lr=2e-5, width=64, augment=AUGMENT,
                            channels_last=True),
           "UNet": Recipe("Part 4", "UNet", (32, 32), epochs=3, batch=5, lr=2e-5, target="heatmaps", width=4,
                          loss="cross_entropy", l1_weight=0.3, augment=AUGMENT)}


def _faces(toy, name, count, seed):
    """Toy faces for a net: its size, and as many landmarks as it answers with, all near the blob."""
    faces = toy(count, RECIPES[name].size, seed)
    faces.convention = registered(RECIPES[name].data).convention
    spread = np.random.default_rng(seed).normal(0, 3, (count, faces.convention.size, 2)).astype(np.float32)
    faces.landmarks = faces.landmarks + spread
    return faces


def _split(toy, name):
    return _faces(toy, name, 2 * RECIPES[name].batch + (RECIPES[name].batch == 4), 0), _faces(toy, name, 5, 1)


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def _worker(rank, port, toy, results):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    torch.set_num_threads(1)
    with distributed.joined():
        for name, recipe in RECIPES.items():
            fit(new_model(recipe), *_split(toy, name), recipe, progress=False).history.to_json(f"{results}/{name}-{rank}.json")


@pytest.fixture(scope="module")
def on_two_processes(tmp_path_factory):
    """A folder with the history of each recipe, trained by two processes, as each of them has it."""
    folder = tmp_path_factory.mktemp("two")
    torch.multiprocessing.spawn(_worker, (_free_port(), ToyFaces, str(folder)), nprocs=2)
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_give_the_loss_curve_of_one(toy, on_two_processes, name):
    one = fit(new_model(RECIPES[name]), *_split(toy, name), RECIPES[name], progress=False)
    for rank in (0, 1):
        two = pd.read_json(on_two_processes / f"{name}-{rank}.json")
        for column in ("lr", "train_loss", "val_loss", "val_error"):
            np.testing.assert_allclose(two[column], one.history[column], rtol=1e-4, err_msg=column)


def test_shared_batch_norm_alone_is_batch_norm():
    plain, x = torch.nn.BatchNorm2d(5), torch.randn(3, 5, 7, 6)
    torch.nn.init.normal_(plain.weight)
    ours = GlooBatchNorm2d(5)
    ours.load_state_dict(plain.state_dict())
    outputs = []
    for layer in (plain, ours):
        inside = x.clone().requires_grad_()
        y = layer(inside)
        (y**3).sum().backward()
        outputs.append((y, inside.grad, layer.weight.grad, *layer.state_dict().values(), layer.eval()(x)))
    for a, b in zip(*outputs):
        torch.testing.assert_close(a.float(), b.float(), rtol=1e-4, atol=1e-5)


@pytest.fixture
def launched(monkeypatch):
    """Two GPUs, and a process that torchrun started; nothing is joined."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    joined = []
    monkeypatch.setattr(torch.cuda, "set_device", joined.append)
    monkeypatch.setattr(distributed.dist, "init_process_group", joined.append)
    for name, value in {"WORLD_SIZE": "4", "RANK": "1", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    return joined


@pytest.mark.parametrize("changed, words", [
    ({"LOCAL_RANK": "2"}, r"3 processes on this machine would share 2 GPU(s)"),
    ({"LOCAL_WORLD_SIZE": "4"}, "4 processes on this machine would share 2 GPU(s)"),      # also those that have one
    ({"LOCAL_RANK": None}, "LOCAL_RANK is '', no number: start with torchrun"),
    ({"LOCAL_RANK": "-1"}, "LOCAL_RANK is '-1', no number"), ({"LOCAL_RANK": "one"}, "LOCAL_RANK is 'one', no number")])
def test_processes_that_do_not_fit_the_machine_end_with_one_line(launched, monkeypatch, changed, words, capsys, tmp_path):
    from fkp_utils import train
    for name, value in changed.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    assert train.main(["nose", "--profile", "smoke", "--checkpoints", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"train: {words}") and told.count("\n") == 1 and not launched


@pytest.mark.parametrize("name, value", [("WORLD_SIZE", "many"), ("RANK", None), ("MASTER_ADDR", None)])
def test_numbers_that_torchrun_would_not_give_end_with_one_line(monkeypatch, name, value, capsys, tmp_path):
    from fkp_utils import train
    for key, given in {**{"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}, name: value}.items():
        monkeypatch.delenv(key, raising=False) if given is None else monkeypatch.setenv(key, given)
    assert train.main(["nose", "--profile", "smoke", "--checkpoints", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("train: ") and (name in told or value in told) and told.count("\n") == 1


def test_each_process_takes_the_gpu_of_its_number(launched):
    with distributed.joined():
        assert launched == [1, "nccl"]


@pytest.mark.parametrize("error, expected", [
    (ValueError("the first"), ValueError), (RuntimeError("[gloo] Connection closed by peer"), ConnectionError),
    (torch.distributed.DistNetworkError("no route"), ConnectionError), (RuntimeError("the first"), RuntimeError)])
def test_leaving_the_others_does_not_hide_what_went_wrong(monkeypatch, launched, error, expected):
    def fails():
        raise RuntimeError("cannot leave")
    monkeypatch.setattr(distributed.dist, "destroy_process_group", fails)
    with pytest.raises(expected, match="lost another process" if expected is ConnectionError else "the first"), \
            distributed.joined():
        raise error


def test_processes_that_cannot_be_reached_are_named(launched, monkeypatch):
    def fails(backend):
        raise torch.distributed.DistNetworkError("The client socket has timed out")
    monkeypatch.setattr(distributed.dist, "init_process_group", fails)
    with pytest.raises(ConnectionError, match="lost another process"), distributed.joined():
        pass


EPOCHS = "80"                  # seconds of NoseNet: time enough to kill it in


def _start(checkpoints, processes, *more):
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", _free_port()]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "fkp_utils.train", "nose_improved",
               "--profile", "smoke", "--batch", "4", "--checkpoints", str(checkpoints), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "OMP_NUM_THREADS": "1", "FKP_DATA": ""})


def _wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def test_a_killed_worker_ends_the_job_with_a_message_and_one_process_goes_on(embedded, tmp_path):
    job = _start(tmp_path, 2, "--epochs", EPOCHS)
    whole = lambda: [p for p in tmp_path.glob("[!.]*.pt") if "previous" not in p.name]       # noqa: E731 (.NAME is half-written)
    last, = _wait_for(whole)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    _, told = job.communicate(timeout=120)
    assert job.returncode != 0 and "exitcode  : -9" in told
    assert "gloo" not in told                                  # the survivor speaks in our words, or is ended before it can
    done = len(torch.load(last, weights_only=True)["history"])
    assert 0 < done < int(EPOCHS)
    alone = _start(tmp_path, 1, "--epochs", EPOCHS)
    output, told = alone.communicate(timeout=300)
    assert alone.returncode == 0, told
    assert json.loads(output)["epochs"] == int(EPOCHS)
    assert len(torch.load(last, weights_only=True)["history"]) == int(EPOCHS)


def test_batch_changes_the_learning_rate_by_the_square_root(toy, monkeypatch):
    from fkp_utils import train
    seen = []
    monkeypatch.setattr(train, "_train", lambda chosen, options: seen.append(chosen) or 0)
    assert train.main(["resnet", "--batch", "512"]) == 0
    assert seen[0].batch == 512 and seen[0].lr == pytest.approx(2 * train.recipe("full", "resnet").lr)
    assert replace(seen[0], batch=128, lr=1e-3) == train.recipe("full", "resnet")
