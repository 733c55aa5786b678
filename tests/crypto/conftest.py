"""Key providers of every kind, each on a keystore of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.pool import NullPool
from support import key_services
from support.key_services import PIN, REGION, SOFTHSM, TOKEN

from telepsych.core.database import open_engine
from telepsych.core.settings import Settings
from telepsych.crypto import keyring
from telepsych.crypto.keystore import KeystoreBase
from telepsych.crypto.provider import KeyProvider
from telepsych.crypto.providers import provider_for


@pytest.fixture(scope="session")
def kms() -> Iterator[str]:
    """The address of a KMS."""
    with key_services.kms() as address:
        yield address


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A token in software."""
    key_services.soft_token(tmp_path_factory.mktemp("token"))


@pytest.fixture(params=["sqlite", "postgresql"])
def keystore(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty keystore."""
    if request.param == "postgresql":
        address = request.getfixturevalue("new_database")()
    else:
        address = f"sqlite:///{tmp_path / 'keystore' / 'keystore.sqlite'}"
    engine = open_engine(address, pool=NullPool)
    KeystoreBase.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["keyring", "aws-kms", "pkcs11"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of a practice with this provider."""
    if request.param == "keyring":
        keyring.create(tmp_path / "keys" / "keyring.json")
        return Settings(data=tmp_path)
    if request.param == "aws-kms":
        where = {"kms_region": REGION, "kms_endpoint": request.getfixturevalue("kms")}
        return Settings(data=tmp_path, key_provider="aws-kms", **where)
    request.getfixturevalue("token")
    where = {"pkcs11_module": SOFTHSM, "pkcs11_token": TOKEN, "pkcs11_pin": PIN}
    return Settings(data=tmp_path, key_provider="pkcs11", **where)


@pytest.fixture
def open_provider(settings: Settings, keystore: Engine) -> Callable[[], KeyProvider]:
    """Opens the provider, as another process of the practice would."""
    return lambda: provider_for(settings, keystore)


@pytest.fixture
def provider(open_provider: Callable[[], KeyProvider]) -> KeyProvider:
    return open_provider()
