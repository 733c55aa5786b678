"""Time stamps of checkpoints by an RFC 3161 authority. The authority sees a hash and nothing else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    Verifier,
    VerifierBuilder,
    decode_timestamp_response,
)

from telepsych.audit.outside import AnchorFailed, ask


class TimestampAnchor:
    """Keeps the authority's signed answer beside the checkpoint."""

    kind = "timestamp"

    def __init__(self, place: str, roots: str) -> None:
        self.place = place
        self._roots = roots

    def keep(self, note: str, proof: Any) -> bytes:
        """Ask for a time stamp over the note, and believe it only once it is verified."""
        builder = TimestampRequestBuilder().data(note.encode()).hash_algorithm(HashAlgorithm.SHA256)
        request = builder.build()
        status, answer = ask(self.place, request.as_bytes(), "application/timestamp-query")
        if status != 200:
            raise AnchorFailed(f"the authority answered {status}")
        response = _decoded(answer)
        if response.tst_info.nonce != request.nonce:
            raise AnchorFailed("the authority answered another question")
        _verify(self._verifier(), response, note)
        return answer

    def notes(self, kept: Sequence[tuple[str, bytes | None]], origin: str) -> Iterator[str]:
        """The notes whose time stamps are good."""
        if not kept:
            return
        verifier = self._verifier()
        for note, receipt in kept:
            _verify(verifier, _decoded(receipt or b""), note)
            yield note

    def _verifier(self) -> Verifier:
        try:
            roots = x509.load_pem_x509_certificates(Path(self._roots).read_bytes())
        except (OSError, ValueError) as problem:
            raise AnchorFailed("the setting anchor_tsa_roots names no certificates", is_absence=True) from problem
        builder = VerifierBuilder()
        for root in roots:
            builder = builder.add_root_certificate(root)
        return builder.build()


def _decoded(answer: bytes) -> TimeStampResponse:
    try:
        return decode_timestamp_response(answer)
    except ValueError as problem:
        raise AnchorFailed("a time stamp cannot be read") from problem


def _verify(verifier: Verifier, response: TimeStampResponse, note: str) -> None:
    try:
        verifier.verify_message(response, note.encode())
    except (VerificationError, ValueError) as problem:
        raise AnchorFailed("a time stamp does not belong to its checkpoint, or to the authority") from problem
