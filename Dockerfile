# One image for both services; what runs is the command's affair.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements-uv.lock requirements-runtime.lock ./
# Bytecode is made here and now: where nothing can be written it would else be made anew by each
# process that starts, probes among them, for seconds.
RUN python -m venv --without-pip /opt/chairside \
    && python -m pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
    && uv pip sync --no-cache --compile-bytecode --python /opt/chairside/bin/python \
        --require-hashes requirements-runtime.lock
COPY protos protos
RUN mkdir /app \
    && packages="$(/opt/chairside/bin/python -c \
        'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && /opt/chairside/bin/python -m grpc_tools.protoc -Iprotos -I"$packages" \
        --python_out=/app --grpc_python_out=/app $(find protos -name '*.proto')
COPY service_kit /app/service_kit
COPY booking_service /app/booking_service
COPY cache_service /app/cache_service
RUN /opt/chairside/bin/python -m compileall -q /app

FROM python:3.11-slim
RUN groupadd --gid 10001 chairside \
    && useradd --no-create-home --uid 10001 --gid 10001 --shell /usr/sbin/nologin chairside
COPY --from=build /opt/chairside /opt/chairside
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/chairside/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number: Kubernetes tells by it that this is not root.
USER 10001:10001
# 50051 cache, 50052 booking, 9101 and 9102 their metrics.
EXPOSE 50051 50052 9101 9102
CMD ["python", "-m", "cache_service", "serve"]
