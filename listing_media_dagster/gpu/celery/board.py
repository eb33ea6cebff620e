"""What is known of the jobs of warm workers, in the Redis that also is Celery's broker.

Celery brings a ticket with a job's name to a worker, sometimes twice. Whether there is anything to do for it, and
whose it is, stands here: a worker holds a job by a lease that it renews and that runs out with it. Only names, digests
and lines of progress are kept here; a job's files lie in the media store (`gpu.celery.shelf`).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from listing_media_dagster.gpu.celery.app import check_broker

State = Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,120}")
PREFIX = "listing-media:gpu:"
_KEPT_SECONDS = 7 * 24 * 3600
_LINES_KEPT = 5000
_BROKER_SECONDS = 5


class BrokerDown(Exception):
    """Redis doesn't answer, or refuses; `str()` says why, without the URL and its password."""


@dataclass(frozen=True)
class Ticket:
    """A job's name on the board, the digest of its job.json, and what must be equal for jobs to be done at once.

    Its name is that of a folder on every worker: one that could lead elsewhere is a `ValueError`.
    """

    name: str
    sha256: str
    group: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name[:60]!r} is no job's name")


@dataclass(frozen=True)
class Status:
    """`worker` is who has it now or had it last; `held` whether its lease is alive."""

    state: State
    held: bool
    worker: str = ""
    reason: str = ""
    again: bool = False


@dataclass(frozen=True)
class Happening:
    """What a worker tells of a job: a line for people, a finished item, or (neither) that it has let go of the job.

    `after` is its place in what was told.
    """

    after: str
    line: str = ""
    item: str = ""


@dataclass(frozen=True)
class WorkerCard:
    """A worker that is there: the device it holds, and the GPU memory of that (0: it works without)."""

    name: str
    device: str
    vram_gb: float = 0.0


# Each runs as a whole within Redis, so that of two who try one succeeds. KEYS: job, lease, waiting, events.
_OFFER = """
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'cancelling' and redis.call('EXISTS', KEYS[2]) == 0 then state = 'cancelled' end
if state and state ~= 'failed' and state ~= 'cancelled' then return state end
redis.call('DEL', KEYS[1], KEYS[4])
redis.call('HSET', KEYS[1], 'state', 'queued', 'sha256', ARGV[2], 'group', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[5])
return 'new'
"""
_TAKE = """
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'done' or state == 'failed' or state == 'cancelled' then return state end
if state == 'cancelling' and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'state', 'cancelled')
  return 'cancelled'
end
if not redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return 'held' end
redis.call('ZREM', KEYS[3], ARGV[1])
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
redis.call('HSET', KEYS[1], 'state', 'running', 'worker', ARGV[2], 'sha256', ARGV[4], 'group', ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[6])
return 'taken ' .. tries
"""
_RENEW = """
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return 'lost' end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local state = redis.call('HGET', KEYS[1], 'state')
if state and state ~= 'queued' then return state end
redis.call('HSET', KEYS[1], 'state', 'running', 'worker', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 'running'
"""
_GIVE_UP = """
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return end
redis.call('DEL', KEYS[2])
if ARGV[2] == 'queued' then redis.call('HINCRBY', KEYS[1], 'tries', -1) end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'reason', ARGV[3], 'again', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('XADD', KEYS[4], '*', 'line', '')
redis.call('EXPIRE', KEYS[4], ARGV[5])
"""
_RELEASE = """
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
"""
_CANCEL = """
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'queued' then
  redis.call('HSET', KEYS[1], 'state', 'cancelled')
  redis.call('EXPIRE', KEYS[1], ARGV[1])
elseif state == 'running' then
  redis.call('HSET', KEYS[1], 'state', 'cancelling')
end
"""
_PUT_BACK = """
local state = redis.call('HGET', KEYS[1], 'state')
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if state and state ~= 'running' and state ~= 'queued' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'sha256', ARGV[2], 'group', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
return 1
"""


class Board:
    """The jobs of one broker. Safe to use from several threads; every call raises `BrokerDown` if Redis doesn't answer.

    `lease_seconds`: a worker that hasn't renewed its hold on a job for so long is taken for dead. Raises `ValueError`
    for a URL that isn't Redis's.
    """

    def __init__(self, url: str, lease_seconds: float = 30.0) -> None:
        import redis

        check_broker(url)
        self.lease_seconds = lease_seconds
        self._redis: Any = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_BROKER_SECONDS,
            socket_connect_timeout=_BROKER_SECONDS,
            health_check_interval=30,
        )
        self._scripts: dict[str, Any] = {}

    # --- what a route does --------------------------------------------------------------------------------------------

    def offer(self, ticket: Ticket) -> bool:
        """Put a job up; False if it was up already: then it is being done, or is done."""
        answer = self._run(_OFFER, ticket, ticket.name, ticket.sha256, ticket.group, _now(), _KEPT_SECONDS)
        return bool(answer == "new")

    def put_back(self, ticket: Ticket) -> bool:
        """Put a job up again whose worker died or which Redis forgot; False if somebody has it or it has ended."""
        lost = ticket.name, ticket.sha256, ticket.group, _now(), _KEPT_SECONDS
        return bool(self._run(_PUT_BACK, ticket, *lost))

    def status(self, name: str) -> Status | None:
        """Return how far a job is, None if nothing is known of it."""
        both = self._redis.pipeline(transaction=True)
        both.hgetall(f"{PREFIX}job:{name}").exists(f"{PREFIX}lease:{name}")
        with _answering():
            said, held = both.execute()
        if "state" not in said:
            return None
        again = said.get("again") == "1"
        return Status(said["state"], bool(held), said.get("worker", ""), said.get("reason", ""), again)

    def cancel(self, name: str) -> None:
        """Let a waiting job never start, and a running one stop when its worker next looks."""
        self._run(_CANCEL, Ticket(name, "", ""), _KEPT_SECONDS)

    def forget(self, name: str) -> None:
        with _answering():
            self._redis.delete(f"{PREFIX}job:{name}", f"{PREFIX}events:{name}")

    def happenings(self, name: str, after: str, wait_seconds: float) -> list[Happening]:
        """Return what was told of a job since `after` ("0": ever), waiting a little for something to come."""
        with _answering():
            streams = self._redis.xread({f"{PREFIX}events:{name}": after}, block=max(1, int(wait_seconds * 1000)))
        return [Happening(place, **said) for _, events in streams or () for place, said in events]

    def workers(self) -> list[WorkerCard]:
        """Return the workers that were there within the last `lease_seconds`."""
        with _answering():
            keys = list(self._redis.scan_iter(f"{PREFIX}worker:*", count=1000))
            cards = self._redis.mget(keys) if keys else []
        return [WorkerCard(**json.loads(card)) for card in cards if card]

    # --- what a worker does -------------------------------------------------------------------------------------------

    def show(self, card: WorkerCard) -> None:
        """Say that a worker is there; to be repeated."""
        with _answering():
            self._redis.set(f"{PREFIX}worker:{card.name}", json.dumps(asdict(card)), px=self._lease_ms)

    def leave(self, worker: str) -> None:
        with _answering():
            self._redis.delete(f"{PREFIX}worker:{worker}")

    def take(self, ticket: Ticket, worker: str) -> str:
        """Take hold of a job: "taken N" (for the Nth time), "held" by another worker, or the state it ended in."""
        mine = ticket.name, worker, self._lease_ms, ticket.sha256, ticket.group, _KEPT_SECONDS
        return str(self._run(_TAKE, ticket, *mine))

    def holder(self, name: str) -> tuple[str, int]:
        """Return who holds a job and for how many more ms; ("", 0) if nobody does."""
        with _answering():
            key = f"{PREFIX}lease:{name}"
            return self._redis.get(key) or "", max(0, self._redis.pttl(key))

    def release(self, name: str, worker: str) -> None:
        """Drop the hold of a worker that is known to be dead."""
        self._run(_RELEASE, Ticket(name, "", ""), worker)

    def renew(self, name: str, worker: str) -> str:
        """Keep hold of a job and return its state: "cancelling" if it is to be stopped, "lost" if another has it."""
        return str(self._run(_RENEW, Ticket(name, "", ""), worker, self._lease_ms, _KEPT_SECONDS))

    def tell(self, name: str, *, line: str = "", item: str = "") -> None:
        """Tell of a job: a line for people, or a finished item."""
        said = {key: value for key, value in (("line", line), ("item", item)) if value}
        with _answering():
            key = f"{PREFIX}events:{name}"
            self._redis.xadd(key, said, maxlen=_LINES_KEPT, approximate=True)
            self._redis.expire(key, _KEPT_SECONDS)

    def end(self, name: str, worker: str, state: State, reason: str = "", *, again: bool = False) -> None:
        """Let go of a job in `state`, unless another has it now; `again`: whether it makes sense to try it again."""
        self._run(_GIVE_UP, Ticket(name, "", ""), worker, state, reason, int(again), _KEPT_SECONDS)

    def waiting(self, group: str, at_most: int) -> list[Ticket]:
        """Return jobs that wait and could be done at once with one of `group`, the longest waiting first."""
        if at_most < 1:
            return []
        with _answering():
            names = self._redis.zrange(f"{PREFIX}waiting:{group}", 0, at_most - 1)
            digests = [self._redis.hget(f"{PREFIX}job:{name}", "sha256") for name in names]
        return [Ticket(name, str(sha), group) for name, sha in zip(names, digests, strict=True) if sha]

    def count_waiting(self, group: str) -> int:
        with _answering():
            return int(self._redis.zcard(f"{PREFIX}waiting:{group}"))

    @property
    def _lease_ms(self) -> int:
        return int(self.lease_seconds * 1000)

    def _run(self, script: str, ticket: Ticket, *arguments: Any) -> Any:
        if script not in self._scripts:
            self._scripts[script] = self._redis.register_script(script)
        keys = [f"{PREFIX}{kind}:{ticket.name}" for kind in ("job", "lease", "events")]
        keys.insert(2, f"{PREFIX}waiting:{ticket.group}")
        with _answering():
            return self._scripts[script](keys=keys, args=list(arguments))


def keep_trying(call: Callable[[], Any], seconds: float, pause: float = 0.5) -> Any:
    """Return what `call` gives, while Redis comes back; raises `BrokerDown` if it doesn't within `seconds`."""
    gives_up = time.monotonic() + seconds
    while True:
        try:
            return call()
        except BrokerDown:
            if time.monotonic() > gives_up:
                raise
            time.sleep(pause)


@contextmanager
def _answering() -> Iterator[None]:
    import redis

    try:
        yield
    except redis.AuthenticationError:
        raise BrokerDown("the broker refuses the password of LISTING_MEDIA_BROKER") from None
    except redis.ResponseError as refused:  # out of memory, a replica that may only be read, a right that is missing
        raise BrokerDown(f"the broker refuses: {str(refused)[:200]}") from None
    except (redis.RedisError, OSError) as down:
        raise BrokerDown(f"the broker doesn't answer ({type(down).__name__})") from None


def _now() -> float:
    return time.time()
