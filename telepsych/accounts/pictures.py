"""A seed as a picture that authenticator apps scan."""

import pyotp
import segno


def picture_of(seed: str, issuer: str) -> str:
    """The picture as a data address. `issuer` is what the app lists it under."""
    address = pyotp.TOTP(seed).provisioning_uri(name="Telepsych", issuer_name=issuer)
    return segno.make(address).svg_data_uri(scale=5, border=2, light="white")
