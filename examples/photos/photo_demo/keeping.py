"""What to do with a cluster that stays up."""

from __future__ import annotations

from pathlib import Path


def farewell(kubeconfig: Path, namespace: str, cluster: str) -> str:
    """Return what to print: how to use the cluster and how to end it."""
    return f"""
The cluster stays up. To use it:
  export KUBECONFIG={kubeconfig}
  kubectl -n {namespace} get jobqueues,workerpools
  kubectl -n {namespace} port-forward service/photo-store 8000     # then http://localhost:8000/contact-sheet.jpg
  make demo KEEP=1                                        # again, on the same cluster
To end it:
  make cluster-down NAME={cluster}
"""
