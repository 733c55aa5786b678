"""The only packets we take: small Socket.IO text packets of our one namespace, without attachments.

The library would hold a connection's memory for attachments that a packet merely announces, and spends work on packets
that no page of ours sends. Whatever is not on this short list ends the connection.
"""

from typing import Any, cast

from socketio import packet

LARGEST = 64 * 1024
"""Characters of the largest frame we take; a session description is about 8,000."""
LONGEST_NAME = 48
LARGEST_ACK = 2**31
RESERVED = frozenset({"connect", "connect_error", "disconnect", "*"})
"""Names by which the library calls its own handlers, and would call them for a page that sends them."""
ENGINE_ALONE = frozenset({"1", "3"})
"""Engine.IO close and pong, which carry nothing."""
ENGINE_MESSAGES = ("40", "41", "42")
"""Engine.IO messages that hold a Socket.IO connect, disconnect or event."""


class Malformed(ValueError):
    """A packet that no page of ours sends."""


def is_frame_of_ours(frame: object) -> bool:
    """Whether a WebSocket frame may be one of ours, judged before anything parses it."""
    if not isinstance(frame, str) or len(frame) > LARGEST:
        return False
    return frame in ENGINE_ALONE or frame.startswith(ENGINE_MESSAGES)


class PlainPacket(packet.Packet):  # type: ignore[misc]
    """A Socket.IO packet without binary parts. Decoding raises `Malformed` for any other."""

    uses_binary_events = False

    def decode(self, encoded_packet: object) -> int:
        if not isinstance(encoded_packet, str):
            raise Malformed
        try:
            attachments = super().decode(encoded_packet)
        except (ValueError, RecursionError, IndexError):
            raise Malformed from None
        if attachments or self.namespace not in (None, "/") or not self._is_ours():
            raise Malformed
        return 0

    def _is_ours(self) -> bool:
        if self.packet_type == packet.EVENT:
            return (self.id is None or self.id < LARGEST_ACK) and _names_an_event(self.data)
        if self.packet_type == packet.CONNECT:
            return self.data is None or isinstance(self.data, dict)
        return cast(bool, self.packet_type == packet.DISCONNECT)


def _names_an_event(data: Any) -> bool:
    if not isinstance(data, list) or not 1 <= len(data) <= 2:
        return False
    name = data[0]
    return isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name not in RESERVED
