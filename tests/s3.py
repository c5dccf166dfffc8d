"""A real S3 on loopback, which the real clients talk to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from urllib.request import Request, urlopen

BUCKET = "corpus"
SECRET = "aws-s3cr3t"


@dataclass(frozen=True)
class Store:
    """With one bucket, `s3://corpus`; `web` is where it is had without S3's own protocol."""

    environment: dict[str, str]
    web: str

    def put(self, key: str, data: bytes) -> str:
        """Returns the URL of the new object, which anybody may read."""
        self.files().pipe_file(f"{BUCKET}/{key}", data, ACL="public-read")
        return f"s3://{BUCKET}/{key}"

    def files(self) -> Any:
        import fsspec

        return fsspec.filesystem("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"])


@contextmanager
def store() -> Iterator[Store]:
    """Served, and found by the clients in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    web = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": web,
        "AWS_ACCESS_KEY_ID": "gistmill",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with patch.dict(os.environ, environment):
        found = Store(environment, f"{web}/{BUCKET}")
        # Clients keep what they were first told, and the server what an earlier one held.
        found.files().clear_instance_cache()
        with urlopen(Request(f"{web}/moto-api/reset", method="POST")):
            found.files().mkdir(BUCKET)
        yield found
    server.stop()
