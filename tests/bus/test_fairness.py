"""The waiting lines: priority first, then one job of each owner in turn, first come first served within an owner."""

from collections import deque
from itertools import count

import redis as sync_redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.connection import Client, connect
from bus.jobs import Jobs

from .builders import submitted

_numbers = count()


async def test_owners_take_turns(redis: Client) -> None:
    jobs = Jobs(redis)
    a = [await submitted(jobs, owner="a") for _ in range(4)]
    b = [await submitted(jobs, owner="b") for _ in range(2)]
    c = [await submitted(jobs, owner="c")]
    expected = [a[0], b[0], c[0], a[1], b[1], a[2], a[3]]
    assert [await jobs.position(job) for job in expected] == [1, 2, 3, 4, 5, 6, 7]
    assert await jobs.admit(100) == expected


async def test_a_higher_priority_goes_first_and_the_order_within_it_is_fair(redis: Client) -> None:
    jobs = Jobs(redis)
    low = await submitted(jobs, priority="low")
    normal = [await submitted(jobs, owner=owner) for owner in "aab"]
    high = await submitted(jobs, priority="high", owner="b")
    expected = [high, normal[0], normal[2], normal[1], low]
    assert [await jobs.position(job) for job in expected] == [1, 2, 3, 4, 5]
    assert await jobs.admit(100) == expected


async def test_admission_fills_the_room_and_no_more(redis: Client) -> None:
    jobs = Jobs(redis)
    ids = [await submitted(jobs) for _ in range(5)]
    assert await jobs.admit(0) == []
    assert await jobs.admit(2) == ids[:2]
    assert await jobs.admit(2) == [], "those handed over and not begun take up the room"
    await jobs.claim(ids[0], "w")
    assert await jobs.admit(2) == [ids[2]]
    assert await jobs.position(ids[1]) == 1
    assert await jobs.position(ids[3]) == 1
    assert await jobs.waiting() == 4


Job = tuple[str, str]  # priority, owner


class Lines:
    """The same policy in plain Python."""

    def __init__(self) -> None:
        self.turns: dict[str, deque[str]] = {"high": deque(), "normal": deque(), "low": deque()}
        self.lines: dict[Job, deque[str]] = {}

    def join(self, job: Job, name: str) -> None:
        line = self.lines.setdefault(job, deque())
        line.append(name)
        if len(line) == 1:
            self.turns[job[0]].append(job[1])

    def leave(self, job: Job, name: str) -> None:
        self.lines[job].remove(name)
        if not self.lines[job]:
            self.turns[job[0]].remove(job[1])

    def next(self) -> tuple[Job, str] | None:
        for priority, turn in self.turns.items():
            if turn:
                job = (priority, turn.popleft())
                name = self.lines[job].popleft()
                if self.lines[job]:
                    turn.append(job[1])
                return job, name
        return None


_jobs = st.tuples(st.sampled_from(["high", "normal", "low"]), st.sampled_from(["a", "b", "c: d"]))
_actions = st.lists(st.one_of(_jobs, st.integers(0, 30), st.just("admit")), max_size=25)


@given(actions=_actions)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_order_and_positions_follow_the_policy_whoever_comes_and_goes(
    redis_url: str, actions: list[object]
) -> None:
    """Jobs come, a waiting one is canceled, one is admitted: position and admission agree with the policy in plain Python."""
    with sync_redis.Redis.from_url(redis_url) as client:
        client.flushall()
    async with connect(redis_url) as redis:
        jobs, lines = Jobs(redis), Lines()
        waiting: dict[str, Job] = {}
        for action in actions:
            if isinstance(action, tuple):
                name = f"gen_{next(_numbers):032x}"
                await submitted(jobs, id=name, priority=action[0], owner=action[1])
                lines.join(action, name)
                waiting[name] = action
            elif isinstance(action, int) and waiting:
                name = list(waiting)[action % len(waiting)]
                lines.leave(waiting.pop(name), name)
                await jobs.cancel(name)
            elif action == "admit" and (expected := lines.next()):
                del waiting[expected[1]]
                assert await jobs.admit(1) == [expected[1]]
                await jobs.cancel(expected[1])
        positions = {name: await jobs.position(name) for name in waiting}
        order = [name for _, name in iter(lines.next, None)]
        assert sorted(positions, key=lambda name: positions[name] or 0) == order
        assert sorted(place or 0 for place in positions.values()) == list(range(1, len(order) + 1))
        assert await jobs.admit(1000) == order
