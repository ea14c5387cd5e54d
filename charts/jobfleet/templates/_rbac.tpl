{{/*
What the operator may do in each namespace that it serves: a ClusterRole's rules, or those of a Role in each namespace.
Secrets: neither list nor watch. It reads the one that a JobQueue names and applies `<queue>-jobqueue`; their names are
not known beforehand, so RBAC cannot name them.
*/}}
{{- define "jobfleet.rules" -}}
- apiGroups: [jobfleet.dev]
  resources: [jobqueues, workerpools]
  verbs: [get, list, watch]
- apiGroups: [jobfleet.dev]
  resources: [jobqueues/status, workerpools/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
# A roll-out: the ReplicaSet of the older template goes, its Pods stay until they have done their jobs.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, delete]
# patch: the annotation controller.kubernetes.io/pod-deletion-cost, and the owner of a Pod that lost its ReplicaSet.
# delete: such a Pod, when it is idle.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
# At most so many workers are evicted at a time.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "jobfleet.subject" -}}
- kind: ServiceAccount
  name: {{ include "jobfleet.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}
