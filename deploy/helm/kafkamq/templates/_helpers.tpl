{{- define "kafkamq.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Shorter than 52 signs: the pod's number and the revision follow in names and labels. */ -}}
{{- define "kafkamq.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "kafkamq.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "kafkamq.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kafkamq.selector" -}}
app.kubernetes.io/name: {{ include "kafkamq.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kafkamq.labels" -}}
{{ include "kafkamq.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "kafkamq.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kafkamq.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "kafkamq.secret" -}}
{{- default (include "kafkamq.fullname" .) .Values.secret.existingSecret -}}
{{- end -}}

{{- define "kafkamq.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "kafkamq.port" -}}
{{- regexFind "[0-9]+$" .Values.server.listen -}}
{{- end -}}

{{- /* Number of inputs: each gets the pod's name and the drain time by a variable. */ -}}
{{- define "kafkamq.inputs" -}}
{{- if not (kindIs "invalid" .Values.inputs) -}}
{{- int .Values.inputs -}}
{{- else if .Values.existingConfigMap -}}
{{- fail "existingConfigMap needs `inputs`: the number of [[inputs.kafkamq]] tables in it" -}}
{{- else -}}
{{- regexFindAll "(?m)^[ \t]*\\[\\[[ \t]*inputs[ \t]*\\.[ \t]*kafkamq[ \t]*\\]\\]" .Values.config -1 | len -}}
{{- end -}}
{{- end -}}

{{- /* How the kubelet asks: it does not verify certificates, and has none to show. */ -}}
{{- define "kafkamq.probe" -}}
{{- if and .root.Values.tls.enabled .root.Values.tls.clientCa -}}
tcpSocket: { port: http }
{{- else -}}
httpGet: { path: {{ .path }}, port: http, scheme: {{ ternary "HTTPS" "HTTP" .root.Values.tls.enabled }} }
{{- end -}}
{{- end -}}

{{- /* What the chart knows better than the operator. Read before the operator's file, which wins. */ -}}
{{- define "kafkamq.chartConfig" -}}
# Written by the chart. kafkamq.toml is read after this file and wins.

[server]
listen = {{ .Values.server.listen | quote }}
tokens_file = "/run/secrets/kafkamq/token"
hosts = {{ .Values.server.hosts | toJson }}
allow_changes = {{ .Values.server.allowChanges }}
state_dir = "/var/lib/kafkamq/state"
{{- if .Values.tls.enabled }}
tls_cert = "/run/secrets/kafkamq-tls/tls.crt"
tls_key = "/run/secrets/kafkamq-tls/tls.key"
{{- if .Values.tls.clientCa }}
client_ca = {{ printf "/run/secrets/kafkamq-tls/%s" .Values.tls.caKey | quote }}
{{- with .Values.tls.clientRole }}
client_role = {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq .Values.onConfigChange "restart" }}
watch = false
{{- end }}

[pipeline]
path = "/etc/kafkamq/pipeline"
{{- if eq .Values.onConfigChange "restart" }}
watch = false
{{- end }}

[log]
level = {{ .Values.log.level | quote }}
format = {{ .Values.log.format | quote }}

[limits]
memory = {{ .Values.memory | quote }}

[dead_letter]
path = "/var/lib/kafkamq/dead-letters"
{{- end -}}

{{- /* Checks that no schema can make. */ -}}
{{- define "kafkamq.validate" -}}
{{- if and (not .Values.existingConfigMap) (not .Values.config) -}}
{{- fail "config is empty: give the TOML of inputs and outputs with --set-file config=kafkamq.toml, or existingConfigMap" -}}
{{- end -}}
{{- if and .Values.tls.enabled (not .Values.tls.secretName) -}}
{{- fail "tls.enabled needs tls.secretName" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.tls.enabled .Values.tls.clientCa (not .Values.metrics.serviceMonitor.tlsConfig) -}}
{{- fail "tls.clientCa needs metrics.serviceMonitor.tlsConfig with a certificate for Prometheus" -}}
{{- end -}}
{{- if and .Values.keda.enabled (not .Values.keda.triggers) -}}
{{- fail "keda.enabled needs keda.triggers" -}}
{{- end -}}
{{- end -}}
