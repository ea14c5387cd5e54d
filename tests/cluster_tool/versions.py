"""Every version that the tool pins, in one place; each is part of a cache key."""

from __future__ import annotations

KUBERNETES = "v1.34.4"
"""Kubernetes, as the Go module proxy names it; `golang/kube/go.mod` must say the same."""

ETCD_IMAGE = "3.6.5-0"
COREDNS_IMAGE = "v1.12.1"
PAUSE_IMAGE = "3.10.1"
"""The tags under which kubeadm of that Kubernetes looks for its images."""

KIND = "v0.33.0"
CRICTL = "v1.34.0"
COREDNS = "v1.12.1"
HELM = "v3.22.0"
KWOK = "v0.7.0"
"""Programs that are built by `go install`."""

GO = "1.26.8"
"""The Go that is fetched where Debian's own is too old."""

GO_MINIMUM = (1, 25)
"""The oldest Go that builds all of the above."""

KIND_NODE_IMAGE = "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
"""kind's own node image, used where images can be pulled."""

DEBIAN = "bookworm"
"""The Debian release of the node image and of the base image."""
