# The product: the SDK (`jobfleet`, also as a base for your own worker images) and the operator (`jobfleet-operator`).
# BASE may be any image with Python 3.11 or newer, its venv module and CA certificates.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/jobfleet
# What it depends on changes seldom: a layer of its own, so that a new version of the source rebuilds in seconds.
COPY requirements.lock /src/
RUN /opt/jobfleet/bin/pip install --requirement /src/requirements.lock
COPY pyproject.toml README.md LICENSE /src/
COPY sdk /src/sdk
COPY operator /src/operator
RUN /opt/jobfleet/bin/pip install --no-deps /src

FROM ${BASE}
LABEL org.opencontainers.image.title="jobfleet" \
      org.opencontainers.image.description="Job queues as Kubernetes resources: operator, worker and SDK" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing is written at run time, so the root filesystem can be read-only.
ENV PATH=/opt/jobfleet/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
COPY --from=build /opt/jobfleet /opt/jobfleet
WORKDIR /app
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["jobfleet"]
