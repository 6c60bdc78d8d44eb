"""Whatever order workers and users act in, a job's states, versions and epochs follow one small model."""

import asyncio
from dataclasses import dataclass

import pytest
import redis as sync_redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bus.connection import connect
from bus.jobs import MAX_CRASHES, Jobs
from contracts.errors import Conflict, Fenced, NotFound
from contracts.jobs import JobState

from ..conftest import leaked_keys
from .builders import commit, submitted

ENDS = st.sampled_from([JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED])


@dataclass
class Model:
    """What a job should be."""

    state: JobState = JobState.QUEUED
    epoch: int = 0
    version: int = 1
    crashes: int = 0
    held: bool = False
    cancel: bool = False
    rows: int = 0

    def change(self, state: JobState) -> None:
        self.state = state
        self.version += 1


class JobMachine(RuleBasedStateMachine):
    """Workers, zombies among them, and a user act on some jobs."""

    url: str
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.sync = sync_redis.Redis.from_url(self.url)
        self.sync.flushall()
        self.redis = connect(self.url)
        self.bus = Jobs(self.redis)
        self.models: dict[str, Model] = {}

    def teardown(self) -> None:
        self.runner.run(self.redis.aclose())
        self.runner.close()
        leaks = leaked_keys(self.sync)
        self.sync.close()
        assert leaks == []

    @rule(target=jobs)
    def submit(self) -> str:
        job_id = self.runner.run(submitted(self.bus))
        self.models[job_id] = Model()
        return job_id

    @rule(job_id=jobs)
    def claim(self, job_id: str) -> None:
        claim = self.runner.run(self.bus.claim(job_id, "worker"))
        model = self.models.get(job_id)
        if model is None or model.state.terminal:
            assert claim is None
        elif model.cancel:
            assert claim is None
            model.change(JobState.CANCELED)
        elif model.held and model.crashes + 1 == MAX_CRASHES:
            assert claim is None
            model.change(JobState.FAILED)
        else:
            model.crashes += model.held
            model.epoch += 1
            model.held = True
            model.change(JobState.RUNNING)
            assert claim is not None
            assert claim.epoch == model.epoch
            assert claim.checkpoint == (str(model.rows).encode() if model.rows else None)

    def owns(self, job_id: str, epoch: int) -> Model | None:
        model = self.models.get(job_id)
        return model if model and model.epoch == epoch and not model.state.terminal else None

    @rule(job_id=jobs, age=st.integers(0, 1))
    def commit(self, job_id: str, age: int) -> None:
        epoch = self.models.get(job_id, Model()).epoch - age
        model = self.owns(job_id, epoch)
        if model is None or epoch == 0:
            if epoch != 0:
                with pytest.raises(Fenced):
                    self.runner.run(commit(self.bus, job_id, epoch, 1))
            return
        model.rows += 1
        assert self.runner.run(commit(self.bus, job_id, epoch, model.rows)) is model.cancel
        model.crashes = 0
        model.change(model.state)

    @rule(job_id=jobs, age=st.integers(0, 1), state=ENDS)
    def finish(self, job_id: str, age: int, state: JobState) -> None:
        epoch = self.models.get(job_id, Model()).epoch - age
        model = self.owns(job_id, epoch)
        if epoch < 1:
            return
        if model is None:
            if age:  # the same end by the same epoch may be repeated, so only zombies are tried here
                with pytest.raises(Fenced):
                    self.runner.run(self.bus.finish(job_id, epoch, state))
            return
        self.runner.run(self.bus.finish(job_id, epoch, state))
        model.change(JobState.CANCELED if model.cancel and state is not JobState.SUCCEEDED else state)

    @rule(job_id=jobs, age=st.integers(0, 1))
    def hand_back(self, job_id: str, age: int) -> None:
        epoch = self.models.get(job_id, Model()).epoch - age
        self.runner.run(self.bus.hand_back(job_id, epoch))
        if model := self.owns(job_id, epoch):
            model.held = False
            if model.cancel:
                model.change(JobState.CANCELED)

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        model = self.models.get(job_id)
        if model is None or (model.state.terminal and model.state is not JobState.CANCELED):
            with pytest.raises(Conflict if model else NotFound):
                self.runner.run(self.bus.cancel(job_id))
            return
        self.runner.run(self.bus.cancel(job_id))
        if not model.state.terminal and not model.held:
            model.change(JobState.CANCELED)
        elif model.state is JobState.RUNNING:
            model.change(JobState.CANCELING)
        model.cancel = True

    @rule(job_id=jobs)
    def delete(self, job_id: str) -> None:
        model = self.models.get(job_id)
        if model is None or not model.state.terminal:
            with pytest.raises(Conflict if model else NotFound):
                self.runner.run(self.bus.delete(job_id))
            return
        self.runner.run(self.bus.delete(job_id))
        del self.models[job_id]

    @rule(room=st.integers(0, 3))
    def admit(self, room: int) -> None:
        for job_id in self.runner.run(self.bus.admit(room)):
            assert self.models[job_id].state is JobState.QUEUED

    @invariant()
    def redis_and_model_agree(self) -> None:
        for job_id, model in self.models.items():
            record = self.runner.run(self.bus.get(job_id))
            assert (record.state, record.epoch, record.version) == (model.state, model.epoch, model.version)
            assert record.cancel is model.cancel
            assert len(self.runner.run(self.bus.audit(job_id))) == model.rows
            assert (record.expires_at is not None) is model.state.terminal
        records, _ = self.runner.run(self.bus.list(None, 1000))
        assert [record.spec.id for record in records] == sorted(self.models, reverse=True)


def test_every_history_follows_the_model(redis_url: str) -> None:
    machine = type("Machine", (JobMachine,), {"url": redis_url})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))
