"""What a fake is to say, and when: pure, immutable data.

Only the door is here, because ``import pytest_streamrt`` runs it at every start of pytest: `script`, which builds a
script when called, and has each part as an attribute. Parts are in `parts`, their composition and timing in `build`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_streamrt.events.types import Event
    from pytest_streamrt.script import faults, parts
    from pytest_streamrt.script.build import Script

__all__ = ["script"]


class _ScriptDoor:
    """The callable `script`. Each part is also an attribute of it: ``script.tool_call(…)``."""

    if TYPE_CHECKING:
        choice = staticmethod(parts.choice)
        citation = staticmethod(parts.citation)
        corrupt = staticmethod(faults.corrupt)
        disconnect = staticmethod(parts.disconnect)
        duplicate = staticmethod(faults.duplicate)
        error = staticmethod(parts.error)
        finish = staticmethod(parts.finish)
        http = staticmethod(faults.http)
        interleave = staticmethod(parts.interleave)
        misbehave = staticmethod(faults.misbehave)
        pause = staticmethod(parts.pause)
        reasoning = staticmethod(parts.reasoning)
        refusal = staticmethod(parts.refusal)
        stall = staticmethod(parts.stall)
        status = staticmethod(parts.status)
        tool_call = staticmethod(parts.tool_call)
        truncate = staticmethod(faults.truncate)
        usage = staticmethod(parts.usage)

    def __call__(
        self,
        *parts: str | parts.Part | Script,
        every: float | None = None,
        ttft: float | None = None,
        tps: float | None = None,
        jitter: float = 0.0,
        seed: int = 0,
    ) -> Script:
        """Write down what a model is to say, one delta for each string.

        Args:
            parts: strings, and what the other functions of this module make: ``reasoning(…)``, ``tool_call(…)`` and so
                on. A string is one delta; so is each piece of a reasoning or of a tool call's arguments. A script among
                them is said at its own times, if it has any.
            every: seconds before each delta. The third delta of ``script("a", "b", "c", every=0.05)`` is at 0.15.
            ttft: seconds before the first delta ("time to first token"), where it differs from the rest.
            tps: deltas ("tokens") a second after the first, instead of `every`.
            jitter: how far each delay may stray, as a share of it: 0.2 is up to 20 % more or less.
            seed: what decides the jitter; the same seed gives the same times.

        Raises:
            ScriptError: a part is no part, an empty delta, something after an end, or a time that is none.
        """
        __tracebackhide__ = True
        from pytest_streamrt.script.build import build

        return build(parts, every=every, ttft=ttft, tps=tps, jitter=jitter, seed=seed)

    @staticmethod
    def from_text(
        text: str,
        tokens: int | Callable[[str], Iterable[str]] | None = None,
        *,
        every: float | None = None,
        ttft: float | None = None,
        tps: float | None = None,
        jitter: float = 0.0,
        seed: int = 0,
    ) -> Script:
        """A script that says that text, cut into deltas.

        Args:
            text: what is said, all of it.
            tokens: into how many deltas it is cut, as equal as can be; or a function that cuts it, such as a tokenizer;
                without it, a delta for each word, with the white space before it.
            every: seconds before each delta, as in a script.
            ttft: seconds before the first delta.
            tps: deltas a second after the first.
            jitter: how far each delay may stray, as a share of it.
            seed: what decides the jitter.

        Raises:
            ScriptError: the text cannot be cut so, or the function's pieces, joined, are not the text.
        """
        __tracebackhide__ = True
        from pytest_streamrt.script.build import build
        from pytest_streamrt.script.cut import cut_text

        return build(cut_text(text, tokens), every=every, ttft=ttft, tps=tps, jitter=jitter, seed=seed)

    @staticmethod
    def from_events(events: Iterable[Event], *, timed: bool = True) -> Script:
        """A script that says what a recorded answer said, delta for delta: plain data, without the recording.

        Args:
            events: those of one inference, in order: from `decode`, or a transcript, where they have times.
            timed: whether they come when they came; otherwise all at once.

        Raises:
            ScriptError: they are those of several inferences, or of none.
        """
        __tracebackhide__ = True
        from pytest_streamrt.script.recorded import script_of

        return script_of(events, timed=timed)

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        from pytest_streamrt.script import faults, parts

        for home in (parts, faults):
            if name in home.MAKERS:
                return getattr(home, name)
        from pytest_streamrt.wording import did_you_mean

        there = (*parts.MAKERS, *faults.MAKERS)
        msg = f"script has no part {name!r}.{did_you_mean(name, there)} It has: {', '.join(there)}"
        raise AttributeError(msg)

    def __repr__(self) -> str:
        return "<pytest_streamrt.script>"


_ScriptDoor.__call__.__qualname__ = "script"  # as Python names it, where an argument is unknown
script = _ScriptDoor()
