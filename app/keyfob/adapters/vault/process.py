"""The keychain in a separate process, for long-running programs: the app and the agent.

A keychain call may block forever: a prompt without an answer, a daemon that hangs. An abandoned thread is
still in the call, and its write may land minutes later over a newer one. A process can be killed. So each
call goes to a helper process (`helper`) that is started when needed and killed at the call's deadline.

What a killed helper was writing is *unknown*. If another program killed it, the entry is read back at once,
and written again only if it is missing. After the deadline there is no time for that. The new helper then
reads the entry back before the next write next to it (names in the same folder belong to one account), so
that a keychain that still hangs is noticed there.

A secret is never in an argument or the environment.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from keyfob.adapters.vault.deadline import DEADLINE, LOOK, PROMPT_DEADLINE
from keyfob.adapters.vault.entries import Labels, check_name, check_value, plain_label
from keyfob.adapters.vault.helper import EXIT_IDLE, MARK
from keyfob.core.error_codes import code_or_none
from keyfob.core.errors import Fault, KeychainError, SignInEnded
from keyfob.core.secret import Secret
from keyfob.core.untyped import Json
from keyfob.ports import VaultHealth, unhealthy
from keyfob.process.own_process import child_environment, own_command

# Seconds without a call after which the helper ends, and its memory with it.
IDLE = 60.0
_WRITES = ("save", "delete")


class HelperVault:
    """A `ports.Vault` that ends each call after `deadline` seconds, the time spent waiting for others
    included.

    Calls from several threads are taken one after the other. KeychainError `keychain_timeout` means of a
    write that its outcome is unknown. `command` starts the helper; it is for tests. `close()` ends the helper
    once what it was asked is done.
    """

    def __init__(
        self,
        home_id: str,
        *,
        deadline: float = DEADLINE,
        idle: float = IDLE,
        labels: Labels = plain_label,
        command: Sequence[str] | None = None,
    ) -> None:
        check_name(home_id)
        self._start_line = {"home": home_id, "idle": idle}
        self._deadline = deadline
        self._labels = labels
        self._command = tuple(command or helper_command())
        self._turn = threading.Lock()
        self._helper: HelperProcess | None = None
        self._unknown: set[str] = set()
        self._asking = False  # the keychain's prompt is open

    def load(self, name: str) -> Secret | None:
        """The value, from the keychain process. Raises KeychainError."""
        check_name(name)
        value = self._within({"op": "load", "name": name})
        return None if value is None else Secret(value)

    def save(self, name: str, value: Secret) -> None:
        """Save through the keychain process, over a pipe: the value is never in an argument. Raises
        KeychainError.
        """
        check_name(name)
        request = {"op": "save", "name": name, "value": check_value(value), "label": self._labels(name)}
        self._within(request)

    def delete(self, name: str) -> None:
        """Delete through the keychain process. Raises KeychainError."""
        check_name(name)
        self._within({"op": "delete", "name": name})

    def names(self) -> Sequence[str] | None:
        """All entries, through the keychain process. Raises KeychainError."""
        found: list[str] | None = self._within({"op": "names", "name": ""})
        return found

    def probe(self) -> VaultHealth:
        """The health as the keychain process sees it. Never raises a KeychainError."""
        try:
            return VaultHealth(*self._within({"op": "probe", "name": ""}))
        except (KeychainError, Fault) as error:
            return unhealthy(error)

    def unlock(self, timeout: float = PROMPT_DEADLINE, cancel: threading.Event | None = None) -> None:
        """Let the keychain ask the user. Until they have answered, other calls raise `keychain_locked` at
        once instead of waiting. A prompt that is open already is waited for by its own caller alone: a second
        call raises too.
        """
        self._within({"op": "unlock", "name": ""}, timeout, cancel)

    @property
    def pid(self) -> int | None:
        """The helper's process id; None if none was started."""
        return None if self._helper is None else self._helper.pid

    def close(self) -> None:
        """End the helper. A call in progress in another thread is finished first, within its deadline."""
        with self._turn:
            helper, self._helper = self._helper, None
            if helper is not None:
                helper.dismiss()

    # --- one call -------------------------------------------------------------------------------------------

    def _within(
        self, request: dict[str, Any], seconds: float | None = None, cancel: threading.Event | None = None
    ) -> Json:
        until = time.monotonic() + (self._deadline if seconds is None else seconds)
        while not self._turn.acquire(timeout=min(_left(until), LOOK)):
            if self._asking:
                raise KeychainError("The keychain is waiting for you to unlock it", code="keychain_locked")
            if _left(until) <= 0:
                raise _late()
        try:
            self._asking = request["op"] == "unlock"
            if request["op"] in _WRITES:
                folder = _folder(request["name"])
                for name in sorted(n for n in self._unknown if _folder(n) == folder):
                    self._exchange({"op": "load", "name": name}, until)
            return self._exchange(request, until, cancel)
        finally:
            self._asking = False
            self._turn.release()

    def _exchange(self, request: dict[str, Any], until: float, cancel: threading.Event | None = None) -> Json:
        """One request and its answer. A helper that had gone idle is replaced. So is, once, one that was
        killed while it worked: then a read is repeated, and a write only when reading back shows that it had
        not landed.
        """
        name, write = request["name"], request["op"] in _WRITES
        killed = False
        for _ in range(3):
            helper = self._running()
            answer = helper.ask({**request, "seconds": max(_left(until), 0.001)}, until, cancel)
            if answer is not None:
                if request["op"] == "load" or answer.get("error") is None:
                    self._unknown.discard(name)
                return _value(answer)
            self._helper = None
            late = _left(until) <= 0
            idle = helper.end() == EXIT_IDLE
            if cancel is not None and cancel.is_set():
                raise SignInEnded("Unlocking the keychain was cancelled")
            if idle and not late:
                continue
            if write:
                self._unknown.add(name)
            if late:
                raise _late()
            if killed or request["op"] == "unlock":
                break
            killed = True
            if write and self._landed(request, until):
                return None
        raise KeychainError(
            "The keychain process ended before it answered",
            # For a write this is true: it is not known whether it was done.
            code="keychain_timeout" if write else "keychain_refused",
        )

    def _landed(self, request: dict[str, Any], until: float) -> bool:
        """Whether the entry is as a killed helper was asked to make it."""
        try:
            found = self._exchange({"op": "load", "name": request["name"]}, until)
        except KeychainError as error:
            raise KeychainError(error.message, code="keychain_timeout", detail=error.code) from None
        return bool(found == request.get("value"))

    def _running(self) -> HelperProcess:
        if self._helper is None:
            self._helper = HelperProcess(self._command, self._start_line)
        return self._helper


class HelperProcess:
    """A helper and the two threads that keep a pipe that hangs from blocking the caller."""

    def __init__(self, command: Sequence[str], start_line: dict[str, Any]) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own program, no shell)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=child_environment(os.environ),
                # A Ctrl-C meant for the parent must not tear a write.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise Fault("Keyfob could not start the keychain process", detail=str(error.strerror)) from error
        self.pid = self._process.pid
        self._ids = itertools.count(1)
        self._ended = threading.Event()
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        for work, name in ((self._write, "keychain-out"), (self._read, "keychain-in")):
            threading.Thread(target=work, name=name, daemon=True).start()
        self._out.put(_line(start_line))

    def ask(
        self, request: dict[str, Any], until: float, cancel: threading.Event | None = None
    ) -> dict[str, Any] | None:
        """The answer, or None when it did not come until then, the helper ended, or `cancel` was set."""
        number = next(self._ids)
        self._out.put(_line({**request, "id": number}))
        while True:
            try:
                answer = self._answers.get(timeout=min(_left(until), LOOK) if cancel else _left(until))
            except queue.Empty:
                if _left(until) > 0 and not (cancel is not None and cancel.is_set()):
                    continue
                return None
            # A lower number answers a call whose caller was interrupted while it waited.
            if answer is None or answer["id"] == number:
                return answer

    def end(self) -> int:
        """Kill what still runs; the exit status. Afterwards, nothing that the helper was doing continues."""
        self._out.put(None)
        if self._ended.is_set():
            # If it ended without being killed, its status says whether it left anything undone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(0.5)
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(5)
        return -1  # a process that the system cannot end; its pipes are closed all the same

    def dismiss(self) -> None:
        """Close its stdin: it finishes what it was asked, and goes. Waits for that a moment."""
        self._out.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError), pipe:
            while (line := self._out.get()) is not None:
                view = memoryview(line)
                while view:
                    view = view[pipe.write(view) :]

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        waiting = b""
        with contextlib.suppress(OSError, ValueError), pipe:
            while chunk := pipe.read(65_536):
                *lines, waiting = (waiting + chunk).split(b"\n")
                for line in lines:
                    self._answers.put(json.loads(line))
        self._ended.set()
        self._answers.put(None)
        self._process.wait()  # no zombie stays


def helper_command() -> tuple[str, ...]:
    """How this program starts its keychain process."""
    if getattr(sys, "frozen", False):
        return (*own_command(), MARK)
    return own_command("keyfob.adapters.vault.helper")


def _value(answer: dict[str, Any]) -> Json:
    error = answer.get("error")
    if error is None:
        return answer["value"]
    kind: Callable[..., Exception] = Fault if answer.get("fault") else KeychainError
    raise kind(
        error["message"], code=code_or_none(error["code"]), facts=error["facts"], detail=error["detail"]
    )


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.0)


def _late() -> KeychainError:
    return KeychainError("The keychain did not answer in time", code="keychain_timeout")
