"""Root keys in AWS KMS. A data key's context is its EncryptionContext, so KMS itself refuses a wrap that was moved.

Credentials come from where AWS clients look for them: the role of the machine, or the usual variables.
"""

import hashlib
import os
from typing import Any

from sqlalchemy import Engine

from telepsych.core.errors import Conflict, Misconfigured, Unavailable
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.provider import KeyState
from telepsych.crypto.remote import RemoteProvider

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # the extra is not installed
    boto3 = None

CONTEXT = "telepsych"
DELETED_AFTER = 30
"""Days that KMS waits before it deletes a key for good: the longest it offers, and the time to think better of it."""
WRONG = frozenset({"InvalidCiphertextException", "IncorrectKeyException", "ValidationException"})
OFF = frozenset({"DisabledException", "KMSInvalidStateException", "NotFoundException"})
CHECK = 8
"""Bytes of a checksum before a wrap: KMS answers to a damaged one as it does to somebody who may not use the key."""


class AwsKms(RemoteProvider):
    """Wraps data keys by calls to AWS KMS."""

    name = "aws-kms"

    def __init__(self, keystore: Engine, key_id: str, region: str, endpoint: str) -> None:
        if boto3 is None:
            raise Misconfigured("key_provider aws-kms needs boto3. Install it with `pip install 'telepsych[aws]'`.")
        if not region:
            raise Misconfigured("key_provider aws-kms needs kms_region, such as us-east-1.")
        super().__init__(keystore)
        self._first = key_id
        self._region = region
        self._endpoint = endpoint
        self._client: tuple[int, Any] = (0, None)
        self._made: set[str] = set()

    def _wrap(self, root_id: str, data_key: bytes, context: bytes) -> bytes:
        answer = self._call("encrypt", KeyId=root_id, Plaintext=data_key, EncryptionContext={CONTEXT: context.hex()})
        return _checksum(answer["CiphertextBlob"]) + bytes(answer["CiphertextBlob"])

    def _unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        check, blob, bound = wrapped[:CHECK], wrapped[CHECK:], {CONTEXT: context.hex()}
        if not blob or check != _checksum(blob):
            raise CannotOpen
        answer = self._call("decrypt", KeyId=root_id, CiphertextBlob=blob, EncryptionContext=bound)
        return bytes(answer["Plaintext"])

    def _bring(self, existing: str, is_first: bool) -> str:
        wanted = existing or (self._first if is_first else "")
        if not wanted:
            answer = self._call("create_key", Description="Telepsych root key", KeySpec="SYMMETRIC_DEFAULT")
            self._made.add(answer["KeyMetadata"]["KeyId"])
            return str(answer["KeyMetadata"]["KeyId"])
        try:
            found = self._call("describe_key", KeyId=wanted)["KeyMetadata"]
        except CannotOpen:
            raise Conflict(f"KMS does not know the key {wanted}.") from None
        if not found["Enabled"] or found.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
            raise Conflict(f"The KMS key {wanted} is not an enabled symmetric key.")
        return str(found["KeyId"])

    def _discard(self, root_id: str) -> None:
        if root_id in self._made:  # a key that the operator has made is not ours to throw away
            self._apply(root_id, KeyState.DESTROYED)

    def _apply(self, root_id: str, state: KeyState) -> None:
        try:
            if state is KeyState.DISABLED:
                self._call("disable_key", KeyId=root_id)
            elif state is KeyState.DESTROYED:
                self._call("schedule_key_deletion", KeyId=root_id, PendingWindowInDays=DELETED_AFTER)
            else:
                self._call("enable_key", KeyId=root_id)
        except CannotOpen:
            if state is KeyState.DECRYPT_ONLY:
                raise Conflict(f"KMS cannot bring the key {root_id} back.") from None

    def _call(self, act: str, **what: Any) -> dict[str, Any]:
        """Ask KMS. Its answers may hold key material, and its errors what was asked: neither is passed on."""
        try:
            answer: dict[str, Any] = getattr(self._connected(), act)(**what)
        except ClientError as problem:
            code = str(problem.response.get("Error", {}).get("Code", ""))
            if code in WRONG or code in OFF:
                raise CannotOpen from None
            raise Unavailable(f"AWS KMS does not let us {act} ({code[:40]}).") from None
        except BotoCoreError as problem:
            raise Unavailable(f"AWS KMS cannot be reached ({type(problem).__name__}).") from None
        return answer

    def _connected(self) -> Any:
        """A client of this process: connections are not shared with the process that forked it."""
        process, client = self._client
        if client is None or process != os.getpid():
            options = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
            session = boto3.session.Session(region_name=self._region)
            client = session.client("kms", endpoint_url=self._endpoint or None, config=options)
            self._client = (os.getpid(), client)
        return client


def _checksum(blob: bytes) -> bytes:
    return hashlib.sha256(blob).digest()[:CHECK]
