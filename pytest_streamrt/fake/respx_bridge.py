"""The fake provider as a route of respx, for those who route with it already; and respx for httpx2, which it lacks.

Private names used, of httpcore2: the modules of its connections and pools, as respx itself names httpcore's.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

__all__ = ["USING", "register_httpcore2", "serves"]

USING: Final = "httpcore2"
"""The name by which a router of respx chooses httpx2: ``respx.mock(using="httpcore2")``."""


def serves(router: Any, library: ModuleType) -> bool:
    """Whether that router is at work, and for clients of that library: what it does not see would go out to the network."""
    at_work = router.Mocker is not None and router in router.Mocker.routers
    return at_work and library.__name__ == ("httpx2" if router.using == USING else "httpx")


def register_httpcore2() -> None:
    """Have ``respx.mock(using="httpcore2")`` answer clients of httpx2, unless respx knows how already."""
    import importlib.util

    from respx.mocks import HTTPCoreMocker, Mocker

    if USING in Mocker.registry or importlib.util.find_spec(USING) is None:
        return
    import httpcore2

    class HTTPCore2Mocker(HTTPCoreMocker):
        """As respx does it for httpcore."""

        name = USING
        targets = [target.replace("httpcore.", "httpcore2.", 1) for target in HTTPCoreMocker.targets]  # noqa: RUF012 - respx's own shape

        @classmethod
        def from_sync_httpx_response(cls, httpx_response: Any, target: Any, **kwargs: Any) -> Any:
            """The response in httpcore2's terms."""
            del target, kwargs
            return httpcore2.Response(
                status=httpx_response.status_code,
                headers=httpx_response.headers.raw,
                content=httpx_response.stream,
                extensions=httpx_response.extensions,
            )
