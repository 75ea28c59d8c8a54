"""A vault with a key that everybody knows, and the one of a server's data folder."""

from pathlib import Path

from meterbell.ids import RandomIds
from meterbell.settings import Settings
from meterbell.vault import Vault, generate_key, parse_keys

TEST_VAULT = Vault([generate_key(RandomIds())], RandomIds())


def vault_of(folder: Path) -> Vault:
    """Return the vault of a data folder, whether its server runs or not."""
    key_file = Settings(data=str(folder)).key_file
    return Vault(parse_keys(key_file.read_text(), where=str(key_file)), RandomIds())
