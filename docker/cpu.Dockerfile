# Pixelwise on CPUs: docker build -f docker/cpu.Dockerfile -t pixelwise .
#                    docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" pixelwise check photos
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
# hadolint ignore=DL3013
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /dist

FROM python:3.13-slim
COPY --from=build /dist /dist
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
      "$(ls /dist/*.whl)[train,pretrained,export,serve,ui]" \
    && rm -r /dist \
    && useradd --create-home --uid 1000 pixelwise \
    && mkdir /work /cache && chown pixelwise /work /cache && chmod 1777 /cache
# Whoever the container runs as, weights and decoded images are kept where a volume can be.
ENV XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface MPLCONFIGDIR=/cache/matplotlib
VOLUME /cache
WORKDIR /work
USER pixelwise
ENTRYPOINT ["pixelwise"]
CMD ["--help"]
