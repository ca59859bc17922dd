"""What all that is not the step costs: a real training epoch against the same steps on tensors already in memory.

    python bench/speed/epoch.py

The real epoch loads, augments and transfers each batch; the other has pictures and targets ready. About two minutes on
2 cores, on embedded faces.
"""

from dataclasses import replace

import numpy as np
import torch
from tables import publish, side_by_side

from fkp_utils.augment import to_float
from fkp_utils.datasets import EMBEDDED
from fkp_utils.nets.trained import default_device, new_model
from fkp_utils.profiles import recipe
from fkp_utils.train import faces_for
from fkp_utils.training.allocator import keep_freed_memory
from fkp_utils.training.loop import Trainer

# Recipe of the profile `full`: faces an epoch, and the most that the ratio should be.
PARTS = {"nose": (192, 1.3), "face": (96, 1.15), "resnet": (256, 1.05), "unet": (32, 1.05), "pyramid": (128, 1.05)}


def measure(name: str, count: int, device: torch.device) -> dict[str, float]:
    """Median seconds of both epochs."""
    chosen = replace(recipe("full", name), limit=count, ema=0.0)
    train, _ = faces_for(chosen, EMBEDDED)
    trainers = {way: Trainer(new_model(chosen), train, train, chosen, device) for way in ("epoch", "steps")}
    images, landmarks = train.batch(np.arange(count))
    ready = [(to_float(images[k:k + chosen.batch]).to(device), landmarks[k:k + chosen.batch].to(device))
             for k in range(0, count, chosen.batch)]

    def steps():
        trainers["steps"].model.train()
        return float(sum(trainers["steps"].step(*batch) for batch in ready))
    return side_by_side({"epoch": lambda: trainers["epoch"].train_epoch(0), "steps": steps}, 5)


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
