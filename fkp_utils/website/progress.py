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
from ..processors import usable

AT_ONCE = min(2, usable())           # notebooks, ...
THREADS = usable() // AT_ONCE        # ... and of each
# Seconds of the notebooks in profile quick, beside another, on a core on which `pace` takes PACE.
SECONDS = {"1_nose_tip": 71, "2_full_face": 300, "3_larger_dataset": 305, "4_heatmaps": 502, "5_kaggle": 202}
PACE = 0.27
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


def whole(seconds: Iterable[float | None]) -> float | None:
    """Seconds of all notebooks, where those of each are known, and neither of two waits for long."""
    times = [each or 0.0 for each in seconds]
    return max(*times, sum(times) / AT_ONCE) if all(times) else None


def plan(seconds: dict[str, float | None]) -> str:
    """The steps of a run and about how long each takes here, one a line."""
    about = f", about {words(together)} on this machine" if (together := whole(seconds.values())) else ""
    steps = [f"  {number}. {name}" + (f", about {words(each)}" if each is not None else "")
             for number, (name, each) in enumerate(seconds.items(), 1)]
    return "\n".join([f"the plan: {counted(len(steps), 'notebook')} and the page that shows their figures{about}", *steps])


class Progress:
    """Says in a thread how far notebooks are, until the block ends.

    seconds : that each is expected to take, or None; then the bar follows their cells
    every : seconds between two lines where no terminal is
    """

    def __init__(self, seconds: dict[str, float | None], every: float = 60):
        self.names, self.seconds, self.every = list(seconds), whole(seconds.values()), every
        self._at: dict[str, tuple[int, int]] = {}
        self._done, self._end, self._start, self._lock = 0, threading.Event(), time.perf_counter(), threading.Lock()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def _say(self, words: str) -> None:
        tqdm.write(words)                                              # above the bar
        sys.stdout.flush()

    def at(self, name: str, cell: int, cells: int) -> None:
        """A notebook has come to this cell, counted from 1."""
        with self._lock:
            if name not in self._at:
                self._say(f"{name}.ipynb runs, {len(self._at) + self._done + 1} of {len(self.names)}")
            self._at = {**self._at, name: (cell, cells)}

    def ended(self, name: str, words: str) -> None:
        """A notebook is through: what is said of it."""
        with self._lock:
            self._at, self._done = {other: at for other, at in self._at.items() if other != name}, self._done + 1
            self._say(words)

    def _state(self) -> str:
        about = f" of about {words(self.seconds)}" if self.seconds else ""
        return ", ".join([f"{time.perf_counter() - self._start:.0f} s{about}",
                          *(f"{name} at cell {cell} of {cells}" for name, (cell, cells) in self._at.items())])

    def _tell(self) -> None:
        if not sys.stderr.isatty():
            while not self._end.wait(self.every):
                print(self._state(), flush=True)
            return
        with tqdm(total=1, bar_format="|{bar:20}| {postfix}", leave=False) as bar:
            while not self._end.wait(0.2):
                done = (self._done + sum(cell / cells for cell, cells in self._at.values())) / len(self.names)
                bar.n = min(0.99, (time.perf_counter() - self._start) / self.seconds if self.seconds else done)
                bar.set_postfix_str(self._state())

    def __enter__(self):
        self._start = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._end.set()
        self._thread.join()
