{{/* Names, labels and settings that several templates share. */}}

{{- define "jobfleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Also the beginning of Services' names: these have no dots and begin with a letter, unlike those of releases. */}}
{{- define "jobfleet.fullname" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if regexMatch "^[0-9]" $name -}}
{{- $name = printf "%s-%s" .Chart.Name $name -}}
{{- else if not (contains (include "jobfleet.name" .) $name) -}}
{{- $name = printf "%s-%s" $name (include "jobfleet.name" .) -}}
{{- end -}}
{{- $name | trunc 40 | trimAll "-" -}}
{{- end -}}

{{- define "jobfleet.labels" -}}
{{ include "jobfleet.selector" . }}
app.kubernetes.io/part-of: jobfleet
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The component is added by each template: operator or redis. */}}
{{- define "jobfleet.selector" -}}
app.kubernetes.io/name: {{ include "jobfleet.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "jobfleet.serviceAccountName" -}}
{{- default (include "jobfleet.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* An image reference; the argument is a dict of image and defaultTag. */}}
{{- define "jobfleet.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .defaultTag .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "jobfleet.metricsName" -}}
{{- printf "%s-metrics" (include "jobfleet.fullname" .) -}}
{{- end -}}

{{- define "jobfleet.redisName" -}}
{{- printf "%s-redis" (include "jobfleet.fullname" .) -}}
{{- end -}}

{{- define "jobfleet.redisSecretName" -}}
{{- default (include "jobfleet.redisName" .) .Values.redis.embedded.existingSecret -}}
{{- end -}}

{{/* Where the operator finds the URL of its Redis: a secretKeyRef. Refuses values that name two or none. */}}
{{- define "jobfleet.redisUrlSecretRef" -}}
{{- $external := .Values.redis.external.urlSecretRef -}}
{{- if and .Values.redis.embedded.enabled $external.name -}}
{{- fail "redis.external.urlSecretRef.name is set and so is redis.embedded.enabled: set redis.embedded.enabled=false to use your own Redis, or remove redis.external.urlSecretRef.name to use the chart's." -}}
{{- else if .Values.redis.embedded.enabled -}}
name: {{ include "jobfleet.redisSecretName" . | quote }}
key: url
{{- else if $external.name -}}
name: {{ $external.name | quote }}
key: {{ $external.key | quote }}
{{- else -}}
{{- fail "There is no Redis: set redis.external.urlSecretRef.name to the Secret that holds the URL of yours, or redis.embedded.enabled=true." -}}
{{- end -}}
{{- end -}}

{{/* What the restricted Pod security standard asks of every container, and a root filesystem that nobody writes to. */}}
{{- define "jobfleet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "jobfleet.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}
