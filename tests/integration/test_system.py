"""Both services as real processes, as the fixtures start them."""

import json
import signal

from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import NewSystem


async def test_both_services_serve_and_drain_on_sigterm(new_system: NewSystem) -> None:
    """Health answers for every service by name; SIGTERM ends each with code 0."""
    async with new_system() as system:
        for channel, name in [
            (system.cache_channel, "chairside.cache.v1.CacheService"),
            (system.booking_channel, "chairside.booking.v1.BookingService"),
        ]:
            health = health_pb2_grpc.HealthStub(channel)
            for service in ("", name):
                request = health_pb2.HealthCheckRequest(service=service)
                answer = await health.Check(request, timeout=10)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
        for process in (system.booking, system.cache):
            process.signal(signal.SIGTERM)
            assert await process.wait() == 0
            events = [json.loads(line)["event"] for line in process.output().splitlines()]
            assert {"serving", "draining", "stopped", "call"} <= set(events)


async def test_a_wrong_setting_ends_a_service_with_one_clear_line(new_system: NewSystem) -> None:
    """Exit code 2 and the variable's name; the control is the system that starts without it."""
    async with new_system() as system:
        process = system.cache
        await process.stop()
        assert process.environ is not None
        process.environ = {**process.environ, "CHAIRSIDE_CACHE_LISTN": "127.0.0.1:1"}
        await super(type(process), process).start()
        assert await process.wait() == 2
        assert process.output().startswith("CHAIRSIDE_CACHE_LISTN: is not a setting; did you mean")
