"""HTTP/1.1 as it comes in: uvicorn's protocol with bounded headers, our error body and every request body.

A client may offer another protocol beside its request (`Upgrade: h2c`, as Java's HttpClient and
`curl --http2` do), and a server may go on as if it had not (RFC 9110, 7.8). The parser, though, ends such a
request at its headers and throws its body away: the offer is taken out here and the request read again.
"""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from sigmax.errors import HeadersTooLarge, InvalidInput, SigmaxError
from sigmax.rest import errors
from sigmax.rest.hot import HotRoutes

MAX_HEAD_BYTES = 64 * 2**10
"""How long a request line and headers may grow without an end in sight."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _in_head = False

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(InvalidInput("this is no HTTP/1.1 request"))

    def _feed(self, data: bytes) -> bytes:
        """Parse, and return what is to be parsed once more."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._declined(data[offer.args[0] :])
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HeadersTooLarge(f"the headers are longer than {MAX_HEAD_BYTES} bytes"))
        return b""

    def _declined(self, rest: bytes) -> bytes:
        """The request that was just parsed, without its offer, and what follows it; for a new parser."""
        if self.scope["method"] == "CONNECT":
            raise httptools.HttpParserError("there is nothing to connect to")
        first = f"{self.scope['method']} ".encode() + self.url + b" HTTP/1.1"
        kept = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([first, *kept, b"", rest])

    def _should_upgrade(self) -> bool:
        """What makes uvicorn leave a request with an offer alone, until it is read again."""
        return True

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._head_bytes, self._in_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_head = False
        super().on_headers_complete()
        if isinstance(self.app, HotRoutes) and self.app.draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def _refuse(self, error: SigmaxError) -> None:
        body = errors.body(error)
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(
            body
        )
        self.transport.write(STATUS_LINE[errors.STATUS[error.code]] + head + body)
        self.transport.close()
