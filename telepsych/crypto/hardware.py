"""Root keys in a hardware security module, by PKCS#11.

A root key is a pair in the module, made there and never let out: an AES key that wraps (AES key wrap, RFC 3394) and a
secret that authenticates (HMAC-SHA256 over context and wrap). Key wrap knows no context of its own; the HMAC is checked
first, so that a wrap that was moved is never unwrapped. Layout: `hmac(32) | wrapped key`.
"""

import hmac
import os
import secrets
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine

from telepsych.core.errors import Conflict, Misconfigured, Unavailable
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.provider import KeyState
from telepsych.crypto.remote import RemoteProvider

try:
    import pkcs11
    from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
    from pkcs11.exceptions import PinIncorrect, PinInvalid, PinLenRange, PinLocked, PKCS11Error

    LOST = (
        pkcs11.exceptions.SessionClosed,
        pkcs11.exceptions.SessionHandleInvalid,
        pkcs11.exceptions.UserNotLoggedIn,
        pkcs11.exceptions.KeyHandleInvalid,
        pkcs11.exceptions.ObjectHandleInvalid,
    )
    """The module was away meanwhile; a new session helps."""
except ImportError:  # the extra is not installed
    pkcs11 = None  # type: ignore[assignment,unused-ignore]

T = TypeVar("T")
TAG = 32
LABEL = "telepsych"


class HardwareModule(RemoteProvider):
    """Wraps data keys inside the module."""

    name = "pkcs11"

    def __init__(self, keystore: Engine, module: Path | None, token: str, pin: str) -> None:
        if pkcs11 is None:
            raise Misconfigured(
                "key_provider pkcs11 needs python-pkcs11. Install it with `pip install 'telepsych[pkcs11]'`."
            )
        if module is None or not module.exists():
            raise Misconfigured("key_provider pkcs11 needs pkcs11_module: the library that came with the module.")
        if not token or not pin:
            raise Misconfigured("key_provider pkcs11 needs pkcs11_token and pkcs11_pin.")
        super().__init__(keystore)
        self._token = _token(str(module), token, pin)

    def _wrap(self, root_id: str, data_key: bytes, context: bytes) -> bytes:
        def act(session: Any) -> bytes:
            inside = session.create_object(_short_lived(data_key))
            try:
                wrapped = bytes(self._token.key(root_id, "wrap").wrap_key(inside, mechanism=Mechanism.AES_KEY_WRAP))
            finally:
                inside.destroy()
            return self._tag(root_id, context, wrapped) + wrapped

        return self._token.inside(act)

    def _unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        def act(_session: Any) -> bytes:
            tag, body = wrapped[:TAG], wrapped[TAG:]
            if not hmac.compare_digest(tag, self._tag(root_id, context, body)):
                raise CannotOpen
            template = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True, Attribute.TOKEN: False}
            unwrap, mechanism = self._token.key(root_id, "wrap").unwrap_key, Mechanism.AES_KEY_WRAP
            inside = unwrap(ObjectClass.SECRET_KEY, KeyType.AES, body, mechanism=mechanism, template=template)
            try:
                return bytes(inside[Attribute.VALUE])
            finally:
                inside.destroy()

        return self._token.inside(act)

    def _bring(self, existing: str, is_first: bool) -> str:
        if existing:
            raise Conflict("The module makes its own keys. Leave --to out.")
        root_id = secrets.token_hex(8)

        def act(session: Any) -> str:
            kept = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
            wraps = {Attribute.WRAP: True, Attribute.UNWRAP: True, Attribute.ENCRYPT: False, Attribute.DECRYPT: False}
            common = {"store": True, "id": bytes.fromhex(root_id)}
            session.generate_key(KeyType.AES, 256, label=_label("wrap"), template=kept | wraps, **common)
            signs = {Attribute.SIGN: True, Attribute.VERIFY: True}
            made = {"mechanism": Mechanism.GENERIC_SECRET_KEY_GEN, "label": _label("bind"), "template": kept | signs}
            session.generate_key(KeyType.GENERIC_SECRET, 256, **made, **common)
            return root_id

        return self._token.inside(act)

    def _discard(self, root_id: str) -> None:
        self._apply(root_id, KeyState.DESTROYED)

    def _apply(self, root_id: str, state: KeyState) -> None:
        """A module knows no disabled keys: that state is ours alone."""
        if state is not KeyState.DESTROYED:
            return

        def act(session: Any) -> None:
            for found in list(session.get_objects({Attribute.ID: bytes.fromhex(root_id)})):
                found.destroy()
            self._token.keys.clear()

        self._token.inside(act)

    def _tag(self, root_id: str, context: bytes, wrapped: bytes) -> bytes:
        bound = len(context).to_bytes(4) + context + wrapped
        return bytes(self._token.key(root_id, "bind").sign(bound, mechanism=Mechanism.SHA256_HMAC))


class _Token:
    """The one session of this process with a token. Calls take turns: two threads are too much for some libraries."""

    def __init__(self, module: str, label: str, pin: str) -> None:
        self._module = module
        self._label = label
        self._pin = pin
        self._session: Any = None
        self._process = 0
        self.keys: dict[tuple[str, str], Any] = {}
        """Handles of root keys, for as long as the session lasts."""

    def inside(self, act: Callable[[Any], T]) -> T:
        """Do something in the session. Once it was lost it is opened anew; errors hold no secrets."""
        with _turn:
            try:
                try:
                    return act(self._opened())
                except LOST:
                    self._close()
                    return act(self._opened())
            except (PinIncorrect, PinInvalid, PinLenRange, PinLocked) as problem:
                self._close()
                raise Misconfigured(f"The module does not accept pkcs11_pin ({type(problem).__name__}).") from None
            except PKCS11Error as problem:
                self._close()
                raise Unavailable(f"The hardware module does not answer ({type(problem).__name__}).") from None

    def key(self, root_id: str, use: str) -> Any:
        """The handle of one half of a root key. Raises `CannotOpen` when the module does not have it."""
        if (root_id, use) not in self.keys:
            wanted = {Attribute.ID: bytes.fromhex(root_id), Attribute.LABEL: _label(use)}
            found = list(self._session.get_objects(wanted))
            if not found:
                raise CannotOpen
            self.keys[root_id, use] = found[0]
        return self.keys[root_id, use]

    def _opened(self) -> Any:
        if self._session is None or self._process != os.getpid():
            library = pkcs11.lib(self._module)
            if self._process not in (0, os.getpid()):
                library.reinitialize()  # after a fork the parent's sessions are not ours
            self.keys.clear()
            self._process = os.getpid()
            self._session = library.get_token(token_label=self._label).open(user_pin=self._pin, rw=True)
        return self._session

    def _close(self) -> None:
        session, self._session = self._session, None
        self.keys.clear()
        try:
            if session is not None:
                session.close()
        except PKCS11Error:
            return


_turn = threading.RLock()


@cache
def _token(module: str, label: str, pin: str) -> _Token:
    return _Token(module, label, pin)


def _short_lived(data_key: bytes) -> dict[Any, Any]:
    return {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.VALUE: data_key,
        Attribute.TOKEN: False,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: True,
    }


def _label(use: str) -> str:
    return f"{LABEL}-{use}"
