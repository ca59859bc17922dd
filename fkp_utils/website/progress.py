"""What a run of the notebooks says while it runs: a plan, a bar that moves in terminals, a line a minute in logs."""

import sys
import threading
import time
from collections.abc import Iterable

import torch
from torch import nn
from tqdm import tqdm

from ..command import counted
from ..nets.trained import default_device, has_bf16

# Seconds of the notebooks in profile quick, on two cores on which `pace` takes PACE.
SECONDS = {"1_nose_tip": 49, "2_full_face": 74, "3_larger_dataset": 158, "4_heatmaps": 230, "5_kaggle": 66}
PACE = 0.075
TRIES, PATIENCE = 12, 2.0           # times, and seconds, after which `pace` has measured enough


def pace() -> float:
    """Seconds that a few training steps of a small net take here, the best of some tries: a second or two in all."""
    device = default_device()
    net = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(32, 4, 3, padding=1)).to(device)
    images, times = torch.zeros(8, 1, 96, 96, device=device), list[float]()
    begin = time.perf_counter()
    while len(times) < 2 or (len(times) < TRIES and time.perf_counter() < begin + PATIENCE):
        start = time.perf_counter()
        for _ in range(2):
            with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
                loss = net(images).float().square().mean()
            loss.backward()
            float(loss.detach())                                       # waits for a GPU
        times.append(time.perf_counter() - start)
    return min(times)


def words(seconds: float) -> str:
    """About how long: 45 s, 3 min."""
    return f"{max(5, 5 * round(seconds / 5))} s" if seconds < 90 else f"{round(seconds / 60)} min"


def expected(names: Iterable[str], known: bool) -> dict[str, float | None]:
    """Seconds that each notebook will take on this machine; None where that is not `known`."""
    scale = pace() / PACE if known else None
    return {name: scale * SECONDS[name] if scale and name in SECONDS else None for name in names}


def plan(seconds: dict[str, float | None]) -> str:
    """The steps of a run and about how long each takes here, one a line."""
    times = [each for each in seconds.values() if each is not None]
    whole = f", about {words(sum(times))} on this machine" if len(times) == len(seconds) else ""
    steps = [f"  {number}. {name}" + (f", about {words(each)}" if each is not None else "")
             for number, (name, each) in enumerate(seconds.items(), 1)]
    return "\n".join([f"the plan: {counted(len(steps), 'notebook')} and the page that shows their figures{whole}", *steps])


class Progress:
    """Says in a thread how far a notebook of this title is, until the block ends.

    seconds : that it is expected to take, or None; then the bar follows its cells
    every : seconds between two lines where no terminal is
    """

    def __init__(self, title: str, seconds: float | None, every: float = 60):
        self.title, self.seconds, self.every = title, seconds, every
        self.cell = self.cells = 0
        self._end, self._start = threading.Event(), time.perf_counter()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def at(self, cell: int, cells: int) -> None:
        """The notebook has come to this cell, counted from 1."""
        self.cell, self.cells = cell, cells

    def _state(self) -> str:
        about = f" of about {words(self.seconds)}" if self.seconds else ""
        return f"{time.perf_counter() - self._start:.0f} s{about}, cell {self.cell} of {self.cells}"

    def _tell(self) -> None:
        if not sys.stderr.isatty():
            while not self._end.wait(self.every):
                print(f"{self.title}: {self._state()}", flush=True)
            return
        with tqdm(total=1, desc=self.title, bar_format="{desc} |{bar:30}| {postfix}", leave=False) as bar:
            while not self._end.wait(0.2):
                done = self.cell / max(self.cells, 1)
                bar.n = min(0.99, (time.perf_counter() - self._start) / self.seconds if self.seconds else done)
                bar.set_postfix_str(self._state())

    def __enter__(self):
        self._start = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._end.set()
        self._thread.join()
