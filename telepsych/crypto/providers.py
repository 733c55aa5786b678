"""Which key provider a practice has. The clients of cloud and hardware are loaded only where one is set."""

from sqlalchemy import Engine

from telepsych.core.settings import Settings
from telepsych.crypto import keyring
from telepsych.crypto.provider import KeyProvider


def provider_for(settings: Settings, keystore: Engine) -> KeyProvider:
    """The provider that the settings name. Raises `Misconfigured` when it is not usable as it is set."""
    if settings.key_provider == "aws-kms":
        from telepsych.crypto.aws_kms import AwsKms

        return AwsKms(keystore, settings.kms_key_id, settings.kms_region, settings.kms_endpoint)
    if settings.key_provider == "pkcs11":
        from telepsych.crypto.hardware import HardwareModule

        return HardwareModule(keystore, settings.pkcs11_module, settings.pkcs11_token, settings.pkcs11_pin)
    return keyring.load(settings.keyring_file, (settings.data / "records", settings.data / "keystore"))
