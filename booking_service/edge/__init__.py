"""The gRPC face of the booking service: check a request, call a use case, make its answer."""
