# The product: the SDK (`jobfleet`, also as a base for your own worker images) and the operator (`jobfleet-operator`), with all extras
# but `dev`: `fast` (uvloop) and `encryption` (cryptography), too.
# BASE may be any image with Python 3.11 or newer, its venv module and CA certificates.
ARG BASE=python:3.12-slim

# What it depends on changes seldom: a stage and a layer of its own, so that a new version of the source builds in seconds.
FROM ${BASE} AS dependencies
RUN python3 -m venv /opt/jobfleet
COPY requirements.lock /src/
RUN /opt/jobfleet/bin/pip install --no-cache-dir --disable-pip-version-check --requirement /src/requirements.lock

FROM dependencies AS wheel
COPY pyproject.toml README.md LICENSE /src/
COPY sdk /src/sdk
COPY operator /src/operator
RUN /opt/jobfleet/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps --wheel-dir /wheel /src

FROM ${BASE}
LABEL org.opencontainers.image.title="jobfleet" \
      org.opencontainers.image.description="Job queues as Kubernetes resources: operator, worker and SDK" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing is written at run time, so the root filesystem can be read-only.
ENV PATH=/opt/jobfleet/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
COPY --from=dependencies /opt/jobfleet /opt/jobfleet
COPY --from=wheel /wheel /tmp/wheel
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /tmp/wheel/*.whl && rm -r /tmp/wheel
# Python's own files come without bytecode in most base images, and a root filesystem that is read-only keeps none: without
# this, each start would compile them all.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash -x '/(test|tests|idlelib|lib2to3|turtledemo)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" /opt/jobfleet/lib
WORKDIR /app
# A name for the user, because Python asks for it (getpass.getuser).
RUN echo 'jobfleet:x:65532:65532::/tmp:/usr/sbin/nologin' >> /etc/passwd
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["jobfleet"]
