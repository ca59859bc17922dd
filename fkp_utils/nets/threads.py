"""How many threads PyTorch takes, so that several processes on one machine do not stop each other.

The threads of one process wait for each other many times in a step, and whoever waits keeps a processor busy. As soon as
more threads run than there are processors, those that are waited for are often not scheduled: two trainings at once then
take up to fifty times as long as one (`bench/speed/together.py`). So each takes what the others leave free.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import torch

from ..processors import allowed, usable

INTERVAL = 0.5                       # seconds between two looks at what else is busy
_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Threads:
    """Keeps this process's number of threads at what other processes leave free, unless the user has set it.

    A user's setting is `OMP_NUM_THREADS` in the environment, or `torch.set_num_threads` with another number than PyTorch's
    own, which is that of all processors or, where each runs two threads, of half of them. Processors are those that the
    process may run on, and so is what others do.
    """

    def __init__(self):
        chosen = torch.get_num_threads()
        self.most = min(chosen, usable())
        self._ours = {chosen}
        default = {share for count in (len(allowed()), psutil.cpu_count()) for share in (count, count // 2, -(-count // 2))}
        self.fixed = any(name in os.environ for name in _SETTINGS) or chosen not in default
        self._process = psutil.Process()
        self._before = self._times()

    def _times(self) -> tuple[float, float, float]:
        """Seconds: by the clock, of work by all processes on the processors that this one may use, and by this one."""
        ours, own = allowed(), self._process.cpu_times()
        work = sum(getattr(times, kind, 0.0) for number, times in enumerate(psutil.cpu_times(percpu=True)) if number in ours
                   for kind in ("user", "system", "irq", "softirq"))
        polite = os.name == "posix" and self._process.nice() > 0           # whose work is counted apart, and makes way
        return time.monotonic(), work, 0.0 if polite else own.user + own.system

    def adapt(self) -> None:
        """Look, twice a second at most, at what else has been busy since the last look, and take what it leaves free."""
        if self.fixed or time.monotonic() - self._before[0] < INTERVAL:
            return
        if torch.get_num_threads() not in self._ours:
            self.fixed = True
            return
        before, self._before = self._before, self._times()
        clock, work, own = (now - then for now, then in zip(self._before, before))
        free = len(allowed()) - max(0.0, work - own) / clock
        wanted = min(max(round(free), 1), self.most)
        self._ours.add(wanted)
        if wanted != torch.get_num_threads():
            torch.set_num_threads(wanted)

    @contextlib.contextmanager
    def apart(self) -> Iterator[int]:
        """While threads of one's own share out the work: how many there should be, each as in `one_thread_each`."""
        self.adapt()
        before, fixed = torch.get_num_threads(), self.fixed
        self.fixed = True
        try:
            yield before
        finally:
            torch.set_num_threads(before)
            self.fixed = fixed


_threads = Threads()
adapt_threads, threads_apart = _threads.adapt, _threads.apart


def one_thread_each(count: int) -> ThreadPoolExecutor:
    """`count` threads, each of which computes with one of PyTorch's."""
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
