"""Signatures as of Standard Webhooks (https://www.standardwebhooks.com), so that receivers can
check them with a library that they have."""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256

_PREFIX = "whsec_"

SECRET = "webhook"  # noqa: S105 - its name
"""The name of the mill's own secret (`jobs.store.secrets`), from which those of owners are made."""


def secret_of(mill: bytes, owner: str | None) -> str:
    """What the owner of jobs checks signatures with. Each owner has another, made from the mill's
    own, so that nobody can sign for somebody else."""
    return _PREFIX + b64encode(_mac(mill, (owner or "").encode())).decode()


def headers(secret: str, message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """`timestamp` is of this try, in unix seconds: receivers refuse old ones."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    signature = b64encode(_mac(b64decode(secret.removeprefix(_PREFIX)), signed)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, sha256).digest()
