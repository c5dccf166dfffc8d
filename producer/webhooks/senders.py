"""Threads of a dispatcher that tell webhooks of jobs that are over.

They are beside its turns, never in one: a receiver that is slow delays no work. Any number of
dispatchers may have them; what is due is claimed in SQL, sent with no transaction open, and
settled. Who dies in between leaves a claim that runs out: it is sent again, under the same id.
"""

import json
import threading
from collections.abc import Sequence
from time import monotonic, time
from types import TracebackType
from typing import Self

from jobs import logs
from jobs.allowed_sources import without_secrets
from jobs.database import Database, Transaction
from jobs.errors import DatabaseUnreachable, GistmillError, NotMigrated
from jobs.settings import Timings
from jobs.store import deliveries, jobs, secrets
from jobs.store.deliveries import Claim
from producer.status import view
from producer.webhooks import sending, signing
from producer.webhooks.sending import NoAnswer

log = logs.get("webhooks")

_THREADS = 2
# A host's name is looked up before a deadline can be kept.
_CLAIMED_FOR = 3
_TIMES_LONGER = 4
_GONE = 410


class Senders:
    """A context in which webhooks are sent."""

    def __init__(self, database: Database, timings: Timings, networks: Sequence[str]) -> None:
        self._database = database
        self._timings = timings
        self._networks = networks
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"webhooks-{number}", daemon=True)
            for number in range(_THREADS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits for what is being sent, all together no longer than a worker may drain: whoever
        still looks up a name then leaves a claim that runs out."""
        self._over.set()
        ends = monotonic() + min(self._timings.webhook_timeout, self._timings.drain)
        for thread in self._threads:
            thread.join(max(0.0, ends - monotonic()))

    def _run(self) -> None:
        while not self._over.wait(self._timings.dispatch_interval):
            try:
                while not self._over.is_set() and self.send_one():
                    pass
            except (DatabaseUnreachable, NotMigrated) as error:
                log.debug("can not look for webhooks to send; trying again", error=error)
            except Exception:  # whatever it is, the next one may do
                log.exception("a webhook could not be sent; trying again")

    def send_one(self) -> bool:
        """Whether there was one to send. Raises DatabaseUnreachable and NotMigrated."""
        with self._database.transaction() as tx:
            claimed = deliveries.claim(tx, _CLAIMED_FOR * self._timings.webhook_timeout)
            if claimed is None:
                return False
            body = claimed.body or _body(tx, claimed)
            secret = signing.secret_of(secrets.secret(tx, signing.SECRET), claimed.owner)
        signed = signing.headers(secret, _message_id(claimed), int(time()), body)
        error, is_final = self._send(claimed.url, body, signed)
        with self._database.transaction() as tx:
            self._settle(tx, claimed, error, is_final=is_final)
        return True

    def _send(self, url: str, body: str, headers: dict[str, str]) -> tuple[str | None, bool]:
        """What went wrong, if anything did, and whether it would every time."""
        seconds = self._timings.webhook_timeout
        try:
            status = sending.post(url, body, headers, self._networks, seconds)
        except (NoAnswer, GistmillError) as error:
            return str(error), False
        if 200 <= status < 300:
            return None, False
        redirects = ", and redirects are not followed" if 300 <= status < 400 else ""
        return f"its answer was {status}{redirects}", status == _GONE

    def _settle(
        self, tx: Transaction, claimed: Claim, error: str | None, *, is_final: bool
    ) -> None:
        said = {"job": claimed.job_id, "url": without_secrets(claimed.url), "tries": claimed.tries}
        if error is None:
            deliveries.delivered(tx, claimed)
            log.info("told a webhook", **said)
        elif is_final or claimed.tries >= self._timings.webhook_tries:
            deliveries.give_up(tx, claimed, error)
            log.warning("gave up a webhook", **said, error=error)
        else:
            deliveries.again(tx, claimed, error, self._delay(claimed.tries))
            log.warning("could not tell a webhook; trying again", **said, error=error)

    def _delay(self, tries: int) -> float:
        longer: float = self._timings.webhook_first * _TIMES_LONGER ** (tries - 1)
        return min(longer, self._timings.webhook_longest)


def _body(tx: Transaction, claimed: Claim) -> str:
    """The job as it stands at the first try."""
    body = {
        "type": f"job.{claimed.status}",
        "id": _message_id(claimed),
        "created_at": int(claimed.created_at.timestamp()),
        "data": view(jobs.get(tx, claimed.job_id), workers=0).to_json(),
    }
    text = json.dumps(body, ensure_ascii=False)
    deliveries.keep_body(tx, claimed, text)
    return text


def _message_id(claimed: Claim) -> str:
    """The same for each try, and for no other event of this mill or another."""
    return f"evt_{claimed.job_id.removeprefix('job_')}_{claimed.event_id}"
