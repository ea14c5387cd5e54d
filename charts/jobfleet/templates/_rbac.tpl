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
  verbs: [get, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, patch]
# patch: only the annotation controller.kubernetes.io/pod-deletion-cost.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "jobfleet.subject" -}}
- kind: ServiceAccount
  name: {{ include "jobfleet.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
