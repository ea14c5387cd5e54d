"""What to do with a cluster that stays up."""

from __future__ import annotations

from pathlib import Path


def farewell(kubeconfig: Path, namespace: str, cluster: str, kubectl: Path | None = None) -> str:
    """Return what to print: how to use the cluster and how to end it; `kubectl` where the machine has none of its own.

    >>> print(farewell(Path("/c"), "photos", "demo", Path("/tools/kubectl"))[:95])
    <BLANKLINE>
    The cluster stays up. To use it:
      export PATH=/tools:$PATH
      export KUBECONFIG=/c
      kubectl -n
    """
    program = f"  export PATH={kubectl.parent}:$PATH\n" if kubectl else ""
    return f"""
The cluster stays up. To use it:
{program}  export KUBECONFIG={kubeconfig}
  kubectl -n {namespace} get jobqueues,workerpools
  kubectl -n {namespace} port-forward service/photo-store 8000     # then http://localhost:8000/contact-sheet.jpg
  make demo KEEP=1                                        # again, on the same cluster
To end it:
  make cluster-down NAME={cluster}
"""
