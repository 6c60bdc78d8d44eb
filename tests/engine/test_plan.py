"""Batches: one key each, never over the budget, every row once, turns for jobs, nobody starves."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.plan import Batch, Key, Share, Waiting, plan

KEYS = [
    Key("denoise", "toy", (3, 32, 32), "denoiser"),
    Key("denoise", "toy", (3, 32, 32), "consistency"),
    Key("decode", "toy", (3, 32, 32), "preview"),
]
BUDGETS = st.integers(2, 9)


@st.composite
def lines(draw: st.DrawFn) -> list[Waiting]:
    """Up to twelve asks of up to five jobs."""
    asks = draw(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(KEYS), st.integers(1, 12)), min_size=1))
    return [
        Waiting(number, job, key, rows, draw(st.sampled_from([1, 2])))
        for number, (job, key, rows) in enumerate(asks[:12])
    ]


def some_give_way(data: st.DataObject, line: list[Waiting]) -> list[Waiting]:
    """The line, some of whose asks let the others go first."""
    return [replace(one, gives_way=data.draw(st.booleans())) for one in line]


def forwards(line: list[Waiting], budget: int) -> Iterator[tuple[list[Waiting], Batch]]:
    """The line before each forward, and the forward, until nothing waits."""
    while line:
        batch, behind = plan(line, lambda _: budget)
        yield line, batch
        line = behind


@settings(deadline=None)
@given(lines(), BUDGETS, st.data())
def test_every_row_is_served_once_within_the_budget_and_under_its_key(
    line: list[Waiting], budget: int, data: st.DataObject
) -> None:
    line = some_give_way(data, line)
    asks = {one.ask: one for one in line}
    served: Counter[int] = Counter()
    for _, batch in forwards(line, budget):
        assert len({share.ask for share in batch.shares}) == len(batch.shares)
        assert all(asks[share.ask].key == batch.key and share.rows > 0 for share in batch.shares)
        assert sum(share.rows * asks[share.ask].cost for share in batch.shares) <= budget
        served.update({share.ask: share.rows for share in batch.shares})
    assert served == {one.ask: one.rows for one in line}


@settings(deadline=None)
@given(lines(), BUDGETS, st.data())
def test_no_room_is_left_while_a_row_would_fit(line: list[Waiting], budget: int, data: st.DataObject) -> None:
    for before, batch in forwards(some_give_way(data, line), budget):
        asks, taken = {one.ask: one for one in before}, {share.ask: share.rows for share in batch.shares}
        room = budget - sum(rows * asks[ask].cost for ask, rows in taken.items())
        waits = any(one.key == batch.key and one.rows > taken.get(one.ask, 0) for one in before)
        assert not waits or room < 2


@settings(deadline=None)
@given(lines(), BUDGETS, st.data())
def test_others_are_served_as_if_asks_that_give_way_were_not_there(
    line: list[Waiting], budget: int, data: st.DataObject
) -> None:
    line = some_give_way(data, line)
    first = [one for one in line if not one.gives_way]
    if not first:
        return
    batch, behind = plan(line, lambda _: budget)
    alone, behind_alone = plan(first, lambda _: budget)
    assert batch.key == alone.key
    assert batch.shares[: len(alone.shares)] == alone.shares
    assert [one for one in behind if not one.gives_way] == behind_alone


@settings(deadline=None)
@given(lines(), BUDGETS)
def test_who_waits_longest_chooses_the_key(line: list[Waiting], budget: int) -> None:
    for before, batch in forwards(line, budget):
        assert batch.key == before[0].key
        assert batch.shares[0].ask == before[0].ask


@settings(deadline=None)
@given(lines(), BUDGETS)
def test_jobs_take_turns(line: list[Waiting], budget: int) -> None:
    """Within a forward nobody's second ask comes before somebody's first one, and a job's asks come in their order."""
    for before, batch in forwards(line, budget):
        place = {one.ask: index for index, one in enumerate(before)}
        job_of = {one.ask: one.job for one in before}
        turns: Counter[str] = Counter()
        turn_of = []
        for share in batch.shares:
            turns[job_of[share.ask]] += 1
            turn_of.append(turns[job_of[share.ask]])
        assert turn_of == sorted(turn_of)
        for job in turns:
            places = [place[share.ask] for share in batch.shares if job_of[share.ask] == job]
            assert places == sorted(places)


@settings(deadline=None)
@given(lines(), BUDGETS, st.data())
def test_the_oldest_ask_of_a_job_waits_one_forward_for_each_job_before_it(
    line: list[Waiting], budget: int, data: st.DataObject
) -> None:
    """However many asks arrive behind it meanwhile, of its own job too."""
    mine = data.draw(st.sampled_from([one for one in line if one.ask == min(o.ask for o in line if o.job == one.job)]))
    before = len({one.job for one in line[: line.index(mine)]})
    for forward in range(before + 1):
        batch, line = plan(line, lambda _: budget)
        if mine.ask in {share.ask for share in batch.shares}:
            return
        for number, (job, key) in enumerate(
            data.draw(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(KEYS)), max_size=3))
        ):
            line.append(Waiting(1000 + 10 * forward + number, job, key, 4))
    raise AssertionError(f"not within {before + 1} forwards")


def test_a_job_that_is_served_in_company_does_not_lose_the_place_of_its_oldest_ask() -> None:
    """a's decode waits behind x's ask, which takes a's other ask along; it must not end up behind b for that."""
    one, other, decode = KEYS
    batch, line = plan(
        [Waiting(0, "x", one, 1), Waiting(1, "a", decode, 1), Waiting(2, "a", one, 1), Waiting(3, "b", other, 1)],
        lambda _: 4,
    )
    assert batch.shares == (Share(0, 1), Share(2, 1))
    assert [waiting.ask for waiting in line] == [1, 3]


def test_a_long_ask_does_not_hold_up_a_short_one() -> None:
    key = KEYS[0]
    batch, behind = plan([Waiting(0, "a", key, 100), Waiting(1, "b", key, 1)], lambda _: 8)
    assert [(share.ask, share.rows) for share in batch.shares] == [(0, 8)]
    batch, behind = plan(behind, lambda _: 8)
    assert [(share.ask, share.rows) for share in batch.shares] == [(1, 1), (0, 7)]
    assert [(one.ask, one.rows) for one in behind] == [(0, 85)]


def test_a_guided_row_costs_two() -> None:
    batch, behind = plan([Waiting(0, "a", KEYS[0], 8, cost=2)], lambda _: 7)
    assert (batch.shares[0].rows, behind[0].rows) == (3, 5)


def test_each_key_has_a_budget_of_its_own() -> None:
    batch, _ = plan([Waiting(0, "a", KEYS[2], 8)], lambda key: 2 if key.kind == "decode" else 8)
    assert batch.shares[0].rows == 2


def test_two_asks_of_a_job_worked_by_hand() -> None:
    """a has two asks of 3 rows, b one of 4, budget 8."""
    key = KEYS[0]
    batch, line = plan([Waiting(0, "a", key, 3), Waiting(1, "a", key, 3), Waiting(2, "b", key, 4)], lambda _: 8)
    assert batch.shares == (Share(0, 3), Share(2, 4), Share(1, 1))
    assert line == [Waiting(1, "a", key, 2)]
