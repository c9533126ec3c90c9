# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Requests that other web sites make the browser send are refused: they would reach a server on this computer."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

LOCAL = ("127.0.0.1", "localhost", "::1")
# What listens to all addresses may be called by any name.
EVERYWHERE = ("0.0.0.0", "::", "")


class SameOrigin:
    """
    ASGI middleware that answers 403 to requests from pages of another origin, or under a name that is not its own.

    Args:
        app: The application behind it.
        host: Address that the server listens to.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], host: str):
        self.app = app
        self.names = None if host in EVERYWHERE else {*LOCAL, host}

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        if scope["type"] == "http" and not self.is_own(dict(scope["headers"])):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"The workbench answers its own page only."})
            return
        await self.app(scope, receive, send)

    def is_own(self, headers: dict[bytes, bytes]) -> bool:
        host = headers.get(b"host", b"").decode("latin-1")
        if self.names is not None and urlsplit(f"//{host}").hostname not in self.names:
            return False
        origin = headers.get(b"origin", b"").decode("latin-1")
        return not origin or urlsplit(origin).netloc == host
