{{/*
  A section that is written with nothing below it is null, and takes what values.yaml says of it away. Here are those defaults that must not be missing, once
  more; a test compares them. Every template begins with it, because nobody knows which one is rendered first.
*/}}
{{- define "signoff.defaults" -}}
{{- $part := dict "replicas" 2 "resources" (dict "requests" (dict "cpu" "50m" "memory" "128Mi") "limits" (dict "memory" "512Mi")) }}
{{- range $name, $default := dict
  "certificates" (dict "mode" "generate")
  "constrainedImpersonation" (dict "enabled" false)
  "configuration" dict
  "admission" $part
  "controller" $part
  "metrics" (dict "enabled" true)
  "networkPolicy" (dict "enabled" true "apiServerPorts" (list 443 6443))
  "crds" (dict "install" true) }}
{{- if kindIs "invalid" (index $.Values $name) }}{{ $_ := set $.Values $name $default }}{{ end }}
{{- end }}
{{- range $name := list "certManager" "secret" }}
{{- if kindIs "invalid" (index $.Values.certificates $name) }}{{ $_ := set $.Values.certificates $name dict }}{{ end }}
{{- end }}
{{- end }}

{{/* How many seconds a time has, which is written as Go does. */}}
{{- define "signoff.seconds" -}}
{{- $sum := 0.0 }}
{{- $of := dict "ns" 0.000000001 "us" 0.000001 "µs" 0.000001 "μs" 0.000001 "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 }}
{{- range regexFindAll "[0-9.]+(ns|us|µs|μs|ms|s|m|h)" . -1 }}
{{- $unit := regexFind "[^0-9.]+$" . }}
{{- $sum = addf $sum (mulf (float64 (trimSuffix $unit .)) (get $of $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* The labels of everything. */}}
{{- define "signoff.labels" -}}
app.kubernetes.io/name: signoff
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The labels by which the Pods of a part are found. Takes {root, part}. */}}
{{- define "signoff.selector" -}}
app.kubernetes.io/name: signoff
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{/*
  The objects of a file that make generate has made, with our labels. Takes {root, file, annotations, labels, caBundle, without, accounts}: the rules
  about objects with these names are left out, and ServiceAccounts get the annotations that accounts has under their names. In the files Signoff is in signoff-system, and the operator's name is written so too.
*/}}
{{- define "signoff.generated" -}}
{{- range $document := splitList "\n---\n" (print "\n" (.root.Files.Get .file)) }}
{{- $object := fromYaml $document }}
{{- with $object.Error }}{{ fail (printf "%s is not YAML: %s" $.file .) }}{{ end }}
{{- /* In JSON it is always in quotes, so that a namespace whose name is a number stays one. */}}
{{- $object = toJson $object | replace "signoff-system" $.root.Release.Namespace | fromJson }}
{{- if $object.kind }}
{{- $labels := merge (include "signoff.labels" $.root | fromYaml) ($object.metadata.labels | default dict) ($.labels | default dict) }}
{{- $_ := set $object.metadata "labels" $labels }}
{{- with $.annotations }}
{{- $_ := set $object.metadata "annotations" (merge (deepCopy .) ($object.metadata.annotations | default dict)) }}
{{- end }}
{{- if eq $object.kind "ServiceAccount" }}
{{- with index ($.accounts | default dict) $object.metadata.name }}
{{- $_ := set $object.metadata "annotations" (merge ($object.metadata.annotations | default dict) (deepCopy .)) }}
{{- end }}
{{- end }}
{{- if and $.without $object.rules }}
{{- $rules := list }}
{{- range $object.rules }}
{{- if not (and .resourceNames (has (first .resourceNames) $.without)) }}{{ $rules = append $rules . }}{{ end }}
{{- end }}
{{- $_ := set $object "rules" $rules }}
{{- end }}
{{- if $.caBundle }}
{{- range $object.webhooks }}
{{- $_ := set .clientConfig "caBundle" ($.caBundle | b64enc) }}
{{- end }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}
{{- end }}

{{- define "signoff.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* What reaches the API server, as egress rules. */}}
{{- define "signoff.apiServer" -}}
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- if not .Values.networkPolicy.apiServerPorts }}
{{- fail "networkPolicy.apiServerPorts: names no port, which would let everything out. Say on which ports the API server listens, such as [443, 6443], or leave it out" }}
{{- end }}
- ports:
  {{- range .Values.networkPolicy.apiServerPorts }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
{{- end }}

{{/* The Secret with the serving certificate. */}}
{{- define "signoff.certificate" -}}
{{- if eq .Values.certificates.mode "secret" }}{{ .Values.certificates.secret.name }}{{ else }}signoff-webhook-cert{{ end }}
{{- end }}

{{- define "signoff.clientCA" -}}
{{- .Values.clientCA.configMap | default "signoff-client-ca" }}
{{- end }}

{{/* What restricted Pod security asks for, and whom the Pods run as. */}}
{{- define "signoff.podSecurity" -}}
{{- $given := dict }}
{{- range $name, $value := .Values.podSecurityContext }}
{{- if $value }}{{ $_ := set $given $name (int64 $value) }}{{ end }}
{{- end }}
{{- toYaml (merge (dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault")) $given) }}
{{- end }}

{{- define "signoff.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* A part: its Deployment and its PodDisruptionBudget. Takes {root, part, values, without, volumes, mounts, ports}. */}}
{{- define "signoff.part" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  namespace: {{ .root.Release.Namespace | quote }}
  name: signoff-{{ .part }}
  labels:
    {{- include "signoff.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels:
      {{- include "signoff.selector" . | nindent 6 }}
  strategy:
    {{- if eq .part "admission" }}
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- else }}
    # A volume for the outbox of the audit log may be on one node only.
    rollingUpdate: {maxSurge: 0, maxUnavailable: 1}
    {{- end }}
  template:
    metadata:
      labels:
        {{- /* By the last the Pods are found. */}}
        {{- $own := merge (dict "app.kubernetes.io/component" .part) (include "signoff.labels" .root | fromYaml) }}
        {{- toYaml (merge $own (.values.podLabels | default dict)) | nindent 8 }}
      annotations:
        # The process reads both only when it starts.
        signoff.dev/configuration: {{ include "signoff.configuration" .root | sha256sum | quote }}
        {{- if .root.Values.clientCA.certificate }}
        signoff.dev/client-ca: {{ .root.Values.clientCA.certificate | sha256sum | quote }}
        {{- end }}
        {{- with omit (.values.podAnnotations | default dict) "signoff.dev/configuration" "signoff.dev/client-ca" }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: signoff-{{ .part }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "signoff.podSecurity" .root | nindent 8 }}
      {{- with .values.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
      {{- with .values.topologySpreadConstraints }}
      {{- toYaml . | nindent 6 }}
      {{- else }}
      {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
      - topologyKey: {{ . }}
        maxSkew: 1
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels:
            {{- include "signoff.selector" $ | nindent 12 }}
      {{- end }}
      {{- end }}
      containers:
      - name: signoff
        image: {{ include "signoff.image" .root | quote }}
        imagePullPolicy: {{ .root.Values.image.pullPolicy }}
        args:
        - --config=/etc/signoff/configuration/configuration.yaml
        - --{{ .without }}=false
        {{- with .root.Values.tracing }}
        {{- if .endpoint }}
        - {{ printf "--tracing-endpoint=%s" .endpoint | quote }}
        {{- if not (kindIs "invalid" .ratio) }}
        - {{ printf "--tracing-ratio=%v" .ratio | quote }}
        {{- end }}
        {{- end }}
        {{- end }}
        {{- range .values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
        env:
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        {{- with .values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        ports:
        - {name: health, containerPort: 8081}
        {{- if .root.Values.metrics.enabled }}
        - {name: metrics, containerPort: 8080}
        {{- end }}
        {{- with .ports }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        livenessProbe:
          httpGet: {path: /healthz, port: health}
          periodSeconds: 20
        readinessProbe:
          httpGet: {path: /readyz, port: health}
          periodSeconds: 5
        securityContext:
          {{- include "signoff.containerSecurity" . | nindent 10 }}
        resources:
          {{- toYaml .values.resources | nindent 10 }}
        volumeMounts:
        - {name: configuration, mountPath: /etc/signoff/configuration, readOnly: true}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with .values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes:
      - name: configuration
        configMap: {name: signoff-configuration}
      {{- with .volumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with .values.extraVolumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  namespace: {{ .root.Release.Namespace | quote }}
  name: signoff-{{ .part }}
  labels:
    {{- include "signoff.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "signoff.selector" . | nindent 6 }}
{{- end }}
