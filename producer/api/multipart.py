"""A form with one file in it, read as it comes: the file's bytes go where they are to be stored,
a piece at a time, and are never held.

https://www.rfc-editor.org/rfc/rfc7578
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from jobs.documents import storable
from jobs.errors import UsageError

_LONGEST_FIELD = 10_000
"""Bytes of what is no file."""

_KNOWN = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
"""OpenAI's clients send a time to expire in two; files stay until somebody deletes them."""

Opener = Callable[[str], BinaryIO]
"""Opens the place for a file of that name."""


@dataclass
class Form:
    """What a form held: its fields by name, and of its file what that is called and its size."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    """None until the file is there."""
    bytes: int = 0


class Reading:
    """Give it the body in pieces, then `end` it."""

    def __init__(self, content_type: str, opener: Opener, most: int) -> None:
        """Raises UsageError where it is no form."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UsageError(
                "the body is no form with a file in it; send multipart/form-data, as in "
                "curl -F purpose=documents -F file=@papers.jsonl"
            )
        self.form = Form()
        self._opener = opener
        self._most = most
        self._file: BinaryIO | None = None
        self._name = ""
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._field = b""
        self._over = False
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end_of_part,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def feed(self, piece: bytes) -> None:
        """Raises UsageError, HTTPException (413), and what storing raises."""
        try:
            self._parser.write(piece)
        except MultipartParseError as error:
            raise UsageError(f"the form can not be read: {error}; send it again") from None

    def end(self) -> Form:
        """Raises UsageError where it broke off, or has no file."""
        if not self._over:
            raise UsageError("the form broke off before its end; send it again")
        if self.form.filename is None:
            raise UsageError("the form has no part named file; add -F file=@papers.jsonl")
        if unknown := sorted(set(self.form.fields) - _KNOWN):
            raise UsageError(
                f"the form has a field {storable(unknown[0])!r}, which means nothing here; "
                "send purpose and file alone"
            )
        return self.form

    # --- what the parser says

    def _begin(self) -> None:
        self._headers, self._field, self._file = {}, b"", None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode(errors="replace")
        filename = options.get(b"filename")
        if self._name == "file":
            if self.form.filename is not None:
                raise UsageError("the form has two parts named file; send one at a time")
            self.form.filename = (filename or b"unnamed").decode(errors="replace")
            self._file = self._opener(self.form.filename)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._field += data[start:end]
            if len(self._field) > _LONGEST_FIELD:
                raise UsageError(f"the form's field {self._name!r} is too long")
            return
        self.form.bytes += end - start
        if self.form.bytes > self._most:
            raise HTTPException(
                413,
                f"the file is larger than {self._most:,} bytes; send it in parts, or raise the "
                "server's setting max_upload_bytes",
            )
        self._file.write(data[start:end])

    def _end_of_part(self) -> None:
        if self._file is None:
            self.form.fields[self._name] = self._field.decode(errors="replace")

    def _end(self) -> None:
        self._over = True
