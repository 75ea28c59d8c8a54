"""Settings: flags over environment over file, and refusals that name the setting."""

from pathlib import Path

import msgspec
import pytest

from meterbell.errors import SettingsError
from meterbell.settings import ENVIRONMENT_PREFIX, FILE_NAME, Settings, load_settings


def write_file(folder: Path, text: str) -> dict[str, object]:
    """Write the settings file and return the flags that find it."""
    (folder / FILE_NAME).write_text(text)
    return {"data": str(folder)}


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings({}, {"PATH": "/bin"})

    assert settings == Settings()
    assert settings.folder == Path("meterbell-data")
    assert settings.database == Path("meterbell-data/meterbell.db")


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    flags = write_file(tmp_path, 'port = 1\nqueue_max = 2\nhost = "::1"\n')
    environment = {"METERBELL_PORT": "3", "METERBELL_QUEUE_MAX": "4"}

    settings = load_settings({**flags, "port": 5, "host": None}, environment)

    assert (settings.port, settings.queue_max, settings.host) == (5, 4, "::1")


def test_the_environment_can_name_the_folder_with_the_file(tmp_path: Path) -> None:
    write_file(tmp_path, "port = 7\n")

    settings = load_settings({}, {"METERBELL_DATA": str(tmp_path)})

    assert (settings.data, settings.port) == (str(tmp_path), 7)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("1", True)])
def test_the_environment_spells_booleans(text: str, *, value: bool) -> None:
    settings = load_settings({}, {"METERBELL_CUSTOMERS_AUTO_CREATE": text})

    assert settings.customers_auto_create is value


@pytest.mark.parametrize(
    ("name", "text"),
    [("port", "65536"), ("port", "-1"), ("port", "http"), ("identifier_days", "34")],
)
def test_a_value_that_is_not_acceptable_is_refused_by_name(name: str, text: str) -> None:
    variable = ENVIRONMENT_PREFIX + name.upper()
    with pytest.raises(SettingsError, match=rf"^{name} is .* from {variable}: Expected"):
        load_settings({}, {variable: text})


def test_a_refusal_says_where_the_value_comes_from(tmp_path: Path) -> None:
    flags = write_file(tmp_path, 'public_url = "https://a.example/b"\n')
    with pytest.raises(SettingsError, match=rf"^public_url .*{FILE_NAME}: it is like https:"):
        load_settings(flags, {})
    with pytest.raises(SettingsError, match=r"^public_url .* from --public-url: it is"):
        load_settings({**flags, "public_url": "x"}, {"METERBELL_PUBLIC_URL": "y"})


@pytest.mark.parametrize(("retention", "identifiers"), [(34, 35), (35, 36), (99, 100)])
def test_c2_raw_events_are_kept_as_long_as_identifiers_at_least(
    retention: int, identifiers: int
) -> None:
    with pytest.raises(SettingsError, match=r"^retention_days .* not acceptable"):
        load_settings({"retention_days": retention, "identifier_days": identifiers}, {})

    assert load_settings({"retention_days": identifiers}, {}).retention_days == identifiers
    assert load_settings({}, {}).retention_days is None


def test_c2_an_identifier_counts_once_for_35_days_at_least() -> None:
    assert load_settings({"identifier_days": 35}, {}).identifier_days == 35
    with pytest.raises(SettingsError, match="identifier_days"):
        load_settings({"identifier_days": 34}, {})


def test_an_unknown_line_in_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"{FILE_NAME} is .* no setting portt"):
        load_settings(write_file(tmp_path, "portt = 1\n"), {})


def test_a_file_that_is_no_toml_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=FILE_NAME):
        load_settings(write_file(tmp_path, "port =\n"), {})


def test_every_setting_is_documented_where_it_is_defined() -> None:
    documented = Settings.__doc__ or ""

    assert [
        f.name for f in msgspec.structs.fields(Settings) if f" {f.name}: " not in documented
    ] == []
