"""Every key in Redis, with its time to live, in one place. It knows names and times; it knows no command and no script.

A template takes its parts by `%`; `bus.lua` hands the same templates to the scripts. All keys of a job share the hash tag {id}.
Submission and admission touch the waiting lines and a job in one script, so the service wants one primary, not a Redis Cluster.
"""

from datetime import timedelta

# A job. Without a time to live while it lives; its end gives every key the job's retention.
JOB = "job:{%s}"  # hash: spec, state, progress, usage, result, error, version, epoch, worker, cancel, …
CHECKPOINT = "job:{%s}:checkpoint"  # the latest State, raw bytes; removed at the end
VERDICTS = "job:{%s}:verdicts"  # hash: branch:step:ordinal → answer as JSON, written once
EVENTS = "job:{%s}:events"  # stream: id is version-0
AUDIT = "job:{%s}:audit"  # list of StepAudit as JSON
ASKS = "job:{%s}:asks"  # hash: open asks with their pictures; lives until the asks' deadline at the latest
IDEMPOTENCY = "idempotency:%s"  # hash: job, fingerprint; named by a digest of owner and key

# The waiting lines: an owner with waiting jobs of a priority stands once in that priority's turn.
TURN = "line:%s"  # list of owners
LINE = "line:%s:%s"  # list of job ids, first come first served

# Sets of jobs. `Jobs.expire` and `Jobs.remove_old` clear them of what is over, `Jobs.silent` looks for what is lost.
WAITING = "jobs:waiting"  # sorted by submission
ADMITTED = "jobs:admitted"  # handed to the queue and not claimed yet; sorted by the last hand-over
RUNNING = "jobs:running"  # claimed; sorted by the last sign of life
DEADLINES = "jobs:deadlines"  # sorted by deadline
ENDED = "jobs:ended"  # "id owner", sorted by removal
ALL = "jobs:all"  # sorted by id, hence by age
OF_OWNER = "jobs:of:%s"
DEAD_LETTERS = "jobs:dead"  # stream of poison jobs, capped

# Bells: they wake readers, the truth lies elsewhere. A lost ring costs one look more.
BELL = "bell:%s"  # stream, capped; one for all job events, one for each process that waits for verdicts

# Calls of judges to one account at a provider, named by its digest; see `bus.limits`.
LIMITS = "limits:{%s}"  # hash: when the rates are free again, breaker, who is first in line
LIMIT_LEASES = "limits:{%s}:leases"  # calls under way, sorted by when they count no more
LIMIT_WAITING = "limits:{%s}:waiting"  # calls in line, sorted by when their process last looked
LIMIT_TURN = "limits:{%s}:turn"  # list of jobs: one with calls in line stands there once
LIMIT_LINE = "limits:{%s}:line:%s"  # list of calls of one job

# What judges said, where the judge workers cache it: for MAXWELL_JUDGE_CACHE_SECONDS.
CACHED_VERDICT = "verdict:%s"  # CachedVerdict as JSON; named by a digest of what the judge saw

WORKERS = "workers"  # set of names; as long as one of them publishes
CARD = "worker:%s"  # WorkerCard as JSON

RETENTION = timedelta(hours=24)
IDEMPOTENCY_LIFE = timedelta(hours=24)
BELL_LIFE = timedelta(hours=1)
CARD_LIFE = timedelta(seconds=15)
LIMIT_LIFE = timedelta(hours=1)  # after the last call

EVENT_LIMIT = 2000
BELL_LIMIT = 4096
DEAD_LETTER_LIMIT = 10_000

PERMANENT = (
    "line:*",  # as long as jobs wait
    "jobs:waiting",
    "jobs:admitted",
    "jobs:running",
    "jobs:deadlines",
    "jobs:ended",  # as long as ended jobs are kept
    "jobs:all",
    "jobs:of:*",
    "jobs:dead",  # capped
    "gpu:stream",  # the queue engine's: names handed over
    "judge-*:stream",
    "gpu:queue",  # names to be handed over in a moment, as after a failure
    "judge-*:queue",
    "gpu:workers",  # and who works: after a kill -9 until another worker of the kind lives
    "gpu:task-workers:*",
    "judge-*:workers",
    "judge-*:task-workers:*",
)
"""Patterns of the keys that may live without a time to live. Beside them only the keys of living jobs may."""
