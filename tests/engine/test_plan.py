"""Whatever waits: a batch has one key and keeps its budget, every row is served once and in order, and nobody starves."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from workers.plan import Key, Share, Waiting, plan

KEYS = [
    Key("denoise", "embedded", (4, 32, 32), "denoiser"),
    Key("denoise", "toy", (3, 32, 32), "denoiser"),
    Key("decode", "embedded", (4, 32, 32), "preview"),
]


@st.composite
def lines(draw: st.DrawFn) -> list[Waiting]:
    """A waiting line: asks numbered in order of arrival, several of one job among them."""
    numbers = count()
    return [
        Waiting(
            next(numbers),
            f"job-{draw(st.integers(0, 4))}",
            draw(st.sampled_from(KEYS)),
            draw(st.integers(1, 20)),
            draw(st.integers(1, 2)),
        )
        for _ in range(draw(st.integers(1, 12)))
    ]


@given(lines(), st.integers(2, 12))
def test_a_batch_has_one_key_and_keeps_its_budget(line: list[Waiting], budget: int) -> None:
    batch, _ = plan(line, lambda _: budget)
    asks = {one.ask: one for one in line}
    assert {asks[share.ask].key for share in batch.shares} == {batch.key}
    assert 0 < sum(share.rows * asks[share.ask].cost for share in batch.shares) <= budget
    assert all(0 < share.rows <= asks[share.ask].rows for share in batch.shares)


@given(lines(), st.integers(2, 12))
def test_every_row_is_served_exactly_once(line: list[Waiting], budget: int) -> None:
    wanted = {one.ask: one.rows for one in line}
    served = dict.fromkeys(wanted, 0)
    while line:
        batch, line = plan(line, lambda _: budget)
        for share in batch.shares:
            served[share.ask] += share.rows
    assert served == wanted


@given(lines(), st.integers(2, 12))
def test_who_waits_longest_is_in_the_batch(line: list[Waiting], budget: int) -> None:
    batch, _ = plan(line, lambda _: budget)
    assert batch.shares[0].ask == line[0].ask


@given(lines(), st.integers(2, 12))
def test_nobody_starves_though_others_ask_again_and_again(line: list[Waiting], budget: int) -> None:
    last, numbers = line[-1], count(1000)
    before = {one.job for one in line} - {last.job}
    own_before = sum(one.rows * one.cost for one in line[:-1] if one.job == last.job)
    turns = 0
    while True:
        batch, line = plan(line, lambda _: budget)
        turns += 1
        if last.ask in {share.ask for share in batch.shares}:
            break
        # Whoever was served asks for more at once.
        jobs = {share.ask for share in batch.shares}
        line += [Waiting(next(numbers), f"job-{n % 5}", batch.key, 20, 1) for n in jobs if f"job-{n % 5}" in before]
    assert turns <= (len(before) + 1) * (1 + own_before)


@given(st.integers(1, 9), st.integers(2, 40))
def test_jobs_with_one_ask_each_are_all_served_within_as_many_turns_as_there_are_jobs(jobs: int, budget: int) -> None:
    line = [Waiting(number, f"job-{number}", KEYS[0], 20) for number in range(jobs)]
    seen: set[int] = set()
    for _ in range(jobs):
        if not line:
            break
        batch, line = plan(line, lambda _: budget)
        seen |= {share.ask for share in batch.shares}
    assert seen == set(range(jobs))


def test_jobs_take_turns_by_ask_and_an_ask_may_be_spread() -> None:
    """Worked by hand: a has two asks of 3 rows, b one of 4, budget 8."""
    line = [Waiting(0, "a", KEYS[0], 3), Waiting(1, "a", KEYS[0], 3), Waiting(2, "b", KEYS[0], 4)]
    batch, line = plan(line, lambda _: 8)
    assert batch.shares == (Share(0, 3), Share(2, 4), Share(1, 1))
    assert line == [Waiting(1, "a", KEYS[0], 2)]
    batch, line = plan(line, lambda _: 8)
    assert (batch.shares, line) == ((Share(1, 2),), [])


def test_guidance_doubles_what_a_row_costs() -> None:
    batch, line = plan([Waiting(0, "a", KEYS[0], 5, cost=2)], lambda _: 7)
    assert batch.shares == (Share(0, 3),)
    assert line == [Waiting(0, "a", KEYS[0], 2, cost=2)]
