"""`python -m cache_service`: serve, check-config."""

from functools import partial

from cache_service.app import build, check_ttls
from cache_service.settings import Settings
from service_kit.cli import read_settings, service_cli

__all__: list[str] = []

cli = service_cli("cache", partial(read_settings, Settings, check_ttls), build)

if __name__ == "__main__":
    cli()
