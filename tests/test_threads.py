"""How many threads are taken beside other busy processes, with the processors' times made up."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from fkp_utils import processors
from fkp_utils.nets import threads


@pytest.fixture
def machine(monkeypatch):
    """Four processors, which share the work that the test sets; the clock goes on by a second a look.

    Work of this process and of all is on those that are `allowed`, that of `elsewhere` on each of the others.
    """
    state = SimpleNamespace(clock=0.0, all=0.0, own=0.0, elsewhere=0.0, nice=0, asked=[], threads=4, allowed=[0, 1, 2, 3])

    def tick():
        state.clock += 1.0
        return state.clock

    monkeypatch.setattr(threads.time, "monotonic", tick)
    monkeypatch.setattr(threads.psutil, "cpu_count", lambda: 4)

    def times(percpu):
        assert percpu
        return [SimpleNamespace(user=state.all / len(state.allowed) if k in state.allowed else state.elsewhere, system=0.0,
                                nice=1e6, idle=1e9) for k in range(4)]
    monkeypatch.setattr(threads.psutil, "cpu_times", times)
    monkeypatch.setattr(threads.psutil, "Process", lambda: SimpleNamespace(
        cpu_times=lambda: SimpleNamespace(user=state.own, system=0.0), nice=lambda: state.nice,
        cpu_affinity=lambda: state.allowed))
    monkeypatch.setattr(threads.torch, "get_num_threads", lambda: state.threads)
    monkeypatch.setattr(threads.torch, "set_num_threads",
                        lambda count: setattr(state, "threads", count) or state.asked.append(count))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return state


def work(machine, chosen, own, others):
    """Let the processors be busy for the two seconds until the next look, then look."""
    machine.own += 2 * own
    machine.all += 2 * (own + others)
    chosen.adapt()
    return machine.threads


def test_each_takes_what_the_others_leave(machine):
    chosen = threads.Threads()
    assert [work(machine, chosen, own, others) for own, others in (
        (4, 0), (3, 0.3), (2, 1.2), (2, 2), (0.5, 3.4), (0.1, 8), (1, 0))] == [4, 4, 3, 2, 1, 1, 4]
    assert machine.asked == [3, 2, 1, 4]                                     # set only where it changes


def test_a_polite_process_does_not_count_its_own_work_as_others(machine):
    """What processes of a higher niceness do stands apart, in `nice`, and makes way for the rest."""
    machine.nice = 10
    chosen = threads.Threads()
    machine.own += 8.0                                            # none of it in the work of all
    assert work(machine, chosen, 0, 0) == 4 and work(machine, chosen, 0, 2) == 2


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_the_users_environment_wins(machine, monkeypatch, name):
    monkeypatch.setenv(name, "4")
    assert work(machine, threads.Threads(), 0.5, 3.5) == 4 and not machine.asked


def test_the_users_number_wins_whenever_it_was_set(machine):
    machine.threads = 3                                           # neither all processors nor half of them
    assert work(machine, threads.Threads(), 0.5, 3.5) == 3
    machine.threads = 4
    chosen = threads.Threads()
    assert work(machine, chosen, 1, 2) == 2
    machine.threads = 3
    assert work(machine, chosen, 1, 3) == 3 and work(machine, chosen, 4, 0) == 3


def test_only_processors_that_the_process_may_use_count(machine):
    """Two of four, as `taskset -c 1,3` leaves them: what others do on the rest is no matter."""
    machine.allowed, machine.threads = [1, 3], 2
    chosen = threads.Threads()
    machine.elsewhere += 2.0                                      # the other two processors are busy all the time
    assert work(machine, chosen, 2, 0) == 2
    machine.elsewhere += 2.0
    assert work(machine, chosen, 1, 1) == 1 and work(machine, chosen, 1, 0) == 2


@pytest.mark.parametrize("allowed, default", [([0, 1, 2], 3), ([0, 1, 2], 2), ([2], 1), ([2], 4), ([0, 1], 4)])
def test_pytorchs_own_number_is_no_setting_of_the_users_however_it_counts(machine, allowed, default):
    """By processors or by pairs of them, all that there are or those that the process may use; never more than these."""
    machine.allowed, machine.threads = allowed, default
    chosen = threads.Threads()
    assert work(machine, chosen, 0.1, 0) == min(default, len(allowed)) and not chosen.fixed
    assert work(machine, chosen, 0.1, len(allowed)) == 1


def test_a_container_of_one_and_a_half_processors_has_two(machine, monkeypatch):
    for text, expected in (("150000 100000", 2), ("50000 100000", 1), ("max 100000", 4), ("800000 100000", 4), ("", 4)):
        monkeypatch.setattr(processors.Path, "read_text", lambda self, text=text, **how: text)
        assert processors.usable() == expected
    monkeypatch.setattr(processors.Path, "read_text", lambda self, **how: "150000 100000")
    assert work(machine, threads.Threads(), 0.1, 0) == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no taskset here")
def test_a_process_on_one_processor_takes_one_thread_and_makes_one_process():
    one = min(os.sched_getaffinity(0))
    code = (f"import os; os.sched_setaffinity(0, [{one}])\nimport torch\nfrom fkp_utils.processors import usable\n"
            "from fkp_utils.nets.threads import _threads, adapt_threads\nimport time; time.sleep(0.6); adapt_threads()\n"
            "print(usable(), torch.get_num_threads(), _threads.fixed)")
    environment = {name: value for name, value in os.environ.items() if name not in threads._SETTINGS}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "1 1 False\n", done.stderr


def test_two_looks_within_half_a_second_are_one(machine, monkeypatch):
    chosen = threads.Threads()
    work(machine, chosen, 4, 0)
    monkeypatch.setattr(threads.time, "monotonic", lambda: machine.clock + 0.4)
    assert work(machine, chosen, 0, 4) == 4


def test_work_of_ones_own_threads_is_shared_out_with_one_thread_each(machine, monkeypatch):
    chosen = threads.Threads()
    assert work(machine, chosen, 2, 2) == 2                       # what others leave
    machine.own, machine.all = machine.own + 4, machine.all + 8   # and in the two seconds before it is asked again
    with chosen.apart() as count:
        machine.threads = 1                                       # as a thread of the pool sets it
        assert count == 2 and work(machine, chosen, 4, 0) == 1    # nothing changes meanwhile
    assert machine.threads == 2 and work(machine, chosen, 4, 0) == 4
    monkeypatch.undo()
    with threads.one_thread_each(2) as pool:
        assert list(pool.map(lambda _: torch.get_num_threads(), range(4))) == [1] * 4


@pytest.mark.training
def test_training_and_reading_ask(toy, monkeypatch):
    from fkp_utils import predict
    from fkp_utils.nets import trained
    from fkp_utils.nets.recipe import Recipe
    from fkp_utils.nets.trained import new_model
    from fkp_utils.nets.weights import load_weights
    from fkp_utils.training import loop
    asked = []
    monkeypatch.setattr(loop, "adapt_threads", lambda: asked.append("step"))
    monkeypatch.setattr(trained, "adapt_threads", lambda: asked.append("look"))
    recipe = Recipe("toy", "NoseNet", (60, 80), epochs=2, batch=4, lr=1e-3, data="imm_nose")
    run = loop.fit(new_model(recipe), toy(8), toy(2), recipe, progress=False)
    assert asked == ["step"] * 4
    run.landmarks(torch.zeros(1, 1, 60, 80, dtype=torch.uint8))
    predict.landmarks(torch.zeros(60, 80, 3, dtype=torch.uint8).numpy(), [[10, 10, 40, 40]], load_weights(predict.SMALL),
                      second_look_shift=0)                # every face gets a second look, and a third one what is none
    assert asked[4:] == ["look"] * 4
