"""Addresses that may be somebody else's, which is told before anything is started."""

from contextlib import ExitStack

from devstack.options import Options
from service_kit.settings import socket_path
from service_kit.shared_port import hold

__all__ = ["AddressError", "check_free"]


class AddressError(Exception):
    """Say which addresses cannot be had, and how to ask for others."""


def check_free(options: Options) -> None:
    """Raise AddressError, which names every address that cannot be listened on."""
    wanted = {
        "--cache": options.cache,
        "--booking": options.booking,
        "--cache-metrics": options.cache_metrics,
        "--booking-metrics": options.booking_metrics,
    }
    wrong = {}
    with ExitStack() as stack:
        for option, address in wanted.items():
            if socket_path(address) is not None:
                continue
            try:
                stack.enter_context(hold(address))
            except OSError as error:
                wrong[option] = f"{address}: {error.strerror}"
            except ValueError as error:
                wrong[option] = f"{address}: {error}"
    if wrong:
        told = "\n".join(f"  {option} {why}" for option, why in wrong.items())
        others = " ".join(f"{option} HOST:PORT" for option in wrong)
        message = f'Cannot listen on\n{told}\nFor others: make run OPTIONS="{others}"'
        raise AddressError(message)
