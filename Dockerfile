# Ticker's image. Nothing here names an architecture, and every dependency has wheels for both:
#
#     docker build -t ticker .
#     docker buildx build --platform linux/amd64,linux/arm64 -t ticker .
#
# It runs as user 10001 and writes to /var/lib/ticker only, so the rest of its file system may be read-only. How to run
# it: deploy/README.md.
ARG PYTHON=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON} AS build
WORKDIR /source
RUN python -m venv /opt/ticker
COPY pyproject.toml README.md LICENSE ./
COPY ticker ticker
COPY feeds feeds
RUN /opt/ticker/bin/pip install --no-cache-dir --disable-pip-version-check '.[jwks,redis]'
COPY deploy/docker/health.py /opt/ticker/health.py

FROM ${PYTHON}
COPY --from=build /opt/ticker /opt/ticker
# Others may pass through it: ca.pem, the development authority, is for them. Keys and the history are not.
RUN install -d -o 10001 -g 10001 -m 0755 /var/lib/ticker
ENV PATH=/opt/ticker/bin:$PATH TICKER_HOME=/var/lib/ticker
VOLUME /var/lib/ticker
USER 10001:10001
EXPOSE 8443
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-I", "/opt/ticker/health.py"]
ENTRYPOINT ["ticker"]
CMD ["serve", "--config", "/etc/ticker/ticker.toml"]
