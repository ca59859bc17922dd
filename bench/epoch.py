"""What all that is not the step costs: a real training epoch against the same steps on tensors already in memory.

    python bench/epoch.py

The real epoch loads, augments and transfers each batch; the other has pictures and targets ready. About two minutes on
2 cores, on embedded faces.
"""

import copy
from dataclasses import replace

import numpy as np
import torch
from step import step
from tables import publish, side_by_side
from tqdm import tqdm

from fkp_utils.augment import to_float
from fkp_utils.datasets import EMBEDDED, ensure_embedded
from fkp_utils.memory import keep_freed_memory
from fkp_utils.profiles import recipe
from fkp_utils.targets import make_target
from fkp_utils.train import faces_for
from fkp_utils.training import _train_epoch, default_device, laid_out, new_model

# Recipe of the profile `full`: faces an epoch, and the most that the ratio should be.
PARTS = {"nose": (192, 1.3), "face": (96, 1.15), "resnet": (256, 1.05), "unet": (32, 1.05), "pyramid": (128, 1.05)}


def measure(name: str, count: int, device: torch.device) -> dict[str, float]:
    """Median seconds of both epochs."""
    chosen = replace(recipe("full", name), limit=count, ema=0.0)
    train, _ = faces_for(chosen, ensure_embedded(EMBEDDED))
    target = make_target(chosen, torch.from_numpy(train.landmarks[:count]))
    images, landmarks = train.batch(np.arange(count))
    ready = [(to_float(images[k:k + chosen.batch]).to(device), target.encode(landmarks[k:k + chosen.batch].to(device)))
             for k in range(0, count, chosen.batch)]
    model = laid_out(new_model(chosen).to(device), chosen)
    nets = {way: copy.deepcopy(model) for way in ("epoch", "steps")}
    optimizers = {way: torch.optim.AdamW(net.parameters(), lr=chosen.lr, fused=True) for way, net in nets.items()}

    def epoch():
        with tqdm(disable=True) as bar:
            _train_epoch(nets["epoch"], nets["epoch"], None, target, train, count, chosen, 0, optimizers["epoch"], device, bar)

    def steps():
        nets["steps"].train()
        total = torch.zeros((), device=device)
        for inputs, truth in ready:
            total += step(nets["steps"], optimizers["steps"], target, inputs, truth, chosen)
        return float(total)
    return side_by_side({"epoch": epoch, "steps": steps}, 5)


def main() -> None:
    keep_freed_memory()
    rows = []
    for name, (count, most) in PARTS.items():
        took = measure(name, count, default_device())
        chosen = recipe("full", name)
        rows.append({"recipe": chosen.title, "picture": f"{chosen.size[0]}x{chosen.size[1]}", "batch": chosen.batch,
                     "epoch, ms a face": round(1000 * took["epoch"] / count, 2),
                     "steps alone, ms a face": round(1000 * took["steps"] / count, 2),
                     "ratio": f"{took['epoch'] / took['steps']:.3f}", "aim": f"at most {most}"})
    publish("epoch", "A real epoch against its steps alone", rows)


if __name__ == "__main__":
    main()
