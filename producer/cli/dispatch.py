"""`gistmill dispatch`: a dispatcher in the foreground, until it is stopped."""

import signal
import sys
import threading

import click

from jobs import logs, settings
from producer.cli import output


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
    from producer.webhooks.senders import Senders

    form = logs.form_of(settings.load().log_format, sys.stderr)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with output.client_here() as client:
        timings = client.settings.timings
        me = presence.of_this_process("dispatcher")
        logs.configure(form, dispatcher=me.name)
        networks = client.settings.webhook_networks
        with (
            presence.Announcer(client.database, me, timings.heartbeat),
            Senders(client.database, timings, networks),
        ):
            dispatch.log.info("dispatcher is ready")
            dispatch.run(client.database, client.broker, timings, stop)
    return 0
