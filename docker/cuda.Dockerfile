# Pixelwise on NVIDIA GPUs: docker build -f docker/cuda.Dockerfile -t pixelwise:cuda .
#   docker run --rm --gpus all --shm-size 8g -v "$PWD:/work" --user "$(id -u):$(id -g)" pixelwise:cuda train photos
# PyTorch's packages hold CUDA and cuDNN; the host needs the driver and the NVIDIA container toolkit.
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
# hadolint ignore=DL3013
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /dist

FROM python:3.13-slim
COPY --from=build /dist /dist
# hadolint ignore=DL3013
RUN pip install --no-cache-dir "$(ls /dist/*.whl)[train,pretrained,export,serve,ui]" \
    && rm -r /dist \
    && useradd --create-home --uid 1000 pixelwise \
    && mkdir /work /cache && chown pixelwise /work /cache && chmod 1777 /cache
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface MPLCONFIGDIR=/cache/matplotlib
VOLUME /cache
WORKDIR /work
USER pixelwise
ENTRYPOINT ["pixelwise"]
CMD ["--help"]
