"""`gistmill dispatch`: a dispatcher in the foreground, until it is stopped."""

import logging
import signal
import threading

import click

from jobs import logs
from producer.cli import output

log = logging.getLogger("gistmill.dispatch")


@click.command(
    epilog="""\b
Examples:
  gistmill dispatch
"""
)
def command() -> int:
    """Keep Redis filled from SQL until stopped. Any number may run."""
    from jobs import presence
    from producer import dispatch

    logs.configure()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with output.client() as client:
        timings = client.settings.timings
        me = presence.of_this_process("dispatcher")
        with presence.Announcer(client.database, me, timings.heartbeat):
            log.info("%s is ready", me.name)
            dispatch.run(client.database, client.broker, timings, stop)
    return 0
