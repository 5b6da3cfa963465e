{{/* The labels that select the controller's pods; they never change. */}}
{{- define "ebb.selector" -}}
app.kubernetes.io/name: ebb
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of everything. */}}
{{- define "ebb.labels" -}}
{{ include "ebb.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The name of an image; takes a list of the image's values and the root. */}}
{{- define "ebb.image" -}}
{{- $image := index . 0 -}}
{{- $root := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end }}

{{/* What the webhook puts into pods, as the controller reads it. */}}
{{- define "ebb.sidecar" -}}
{{- $sidecar := dict "image" (include "ebb.image" (list .Values.sidecar.image .)) "redirect" .Values.sidecar.redirect "workers" (int .Values.sidecar.workers) "resources" .Values.sidecar.resources -}}
{{- with .Values.sidecar.image.pullPolicy }}{{- $_ := set $sidecar "imagePullPolicy" . }}{{- end -}}
{{ toJson $sidecar }}
{{- end }}
