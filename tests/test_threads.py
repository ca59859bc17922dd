"""How many threads are taken beside other busy processes, with the processors' times made up."""

from types import SimpleNamespace

import pytest
import torch

from fkp_utils.nets import threads


@pytest.fixture
def machine(monkeypatch):
    """Four processors whose work, and this process's, the test sets; the clock goes on by a second a look."""
    state = SimpleNamespace(clock=0.0, all=0.0, own=0.0, nice=0, asked=[], threads=4)

    def tick():
        state.clock += 1.0
        return state.clock

    monkeypatch.setattr(threads.time, "monotonic", tick)
    monkeypatch.setattr(threads.psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(threads.psutil, "cpu_times", lambda: SimpleNamespace(user=state.all, system=0.0, nice=1e6, idle=1e9))
    monkeypatch.setattr(threads.psutil, "Process", lambda: SimpleNamespace(
        cpu_times=lambda: SimpleNamespace(user=state.own, system=0.0), nice=lambda: state.nice))
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
    from fkp_utils.training import loop
    asked = []
    monkeypatch.setattr(loop, "adapt_threads", lambda: asked.append("step"))
    monkeypatch.setattr(trained, "adapt_threads", lambda: asked.append("look"))
    monkeypatch.setattr(predict, "AGAIN", 0)                                   # every face gets a second look
    recipe = Recipe("toy", "NoseNet", (60, 80), epochs=2, batch=4, lr=1e-3, data="imm_nose")
    run = loop.fit(new_model(recipe), toy(8), toy(2), recipe, progress=False)
    assert asked == ["step"] * 4
    run.landmarks(torch.zeros(1, 1, 60, 80, dtype=torch.uint8))
    predict.landmarks(torch.zeros(60, 80, 3, dtype=torch.uint8).numpy(), [[10, 10, 40, 40]], predict.default_net())
    assert asked[4:] == ["look"] * 3
