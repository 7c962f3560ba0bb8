{{/* SPDX-License-Identifier: MIT */}}

{{- define "bos.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Names of services and members are made of it: 63 characters less the longest ending. */}}
{{- define "bos.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "bos.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "bos.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bos.selector" -}}
app.kubernetes.io/name: {{ include "bos.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bos.labels" -}}
{{ include "bos.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: bos
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "bos.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "bos.apiAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "bos.fullname" .) .Values.serviceAccount.apiName }}
{{- else -}}
{{ default "default" .Values.serviceAccount.apiName }}
{{- end -}}
{{- end -}}

{{- define "bos.operatorAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (printf "%s-operators" (include "bos.fullname" .)) .Values.serviceAccount.operatorName }}
{{- else -}}
{{ default "default" .Values.serviceAccount.operatorName }}
{{- end -}}
{{- end -}}

{{- define "bos.embedded" -}}
{{- if eq .Values.store.mode "embedded" -}}true{{- end -}}
{{- end -}}

{{- define "bos.separate" -}}
{{- if eq .Values.operators.mode "separate" -}}true{{- end -}}
{{- end -}}

{{/* Whether somebody can reach the members: there are several, or operators beside them. */}}
{{- define "bos.peers" -}}
{{- $embedded := .Values.store.embedded -}}
{{- if and (include "bos.embedded" .) (or $embedded.tls.existingSecret $embedded.insecure) -}}true{{- end -}}
{{- end -}}

{{- define "bos.peerDomain" -}}
{{- printf "%s-peers.%s.svc.%s" (include "bos.fullname" .) .Release.Namespace .Values.store.embedded.clusterDomain -}}
{{- end -}}

{{/* The members as NAME=HOST:2380, with commas. */}}
{{- define "bos.initial" -}}
{{- $name := include "bos.fullname" . -}}
{{- $domain := include "bos.peerDomain" . -}}
{{- $members := list -}}
{{- range $i := until (int .Values.api.replicas) -}}
{{- $members = append $members (printf "%s-%d=%s-%d.%s:2380" $name $i $name $i $domain) -}}
{{- end -}}
{{- join "," $members -}}
{{- end -}}

{{/* The members' addresses for clients, behind what is given, with commas. */}}
{{- define "bos.clients" -}}
{{- $name := include "bos.fullname" .root -}}
{{- $domain := include "bos.peerDomain" .root -}}
{{- $scheme := .scheme -}}
{{- $members := list -}}
{{- range $i := until (int .root.Values.api.replicas) -}}
{{- $members = append $members (printf "%s%s-%d.%s:2379" $scheme $name $i $domain) -}}
{{- end -}}
{{- join "," $members -}}
{{- end -}}

{{/* What must not be, in words. */}}
{{- define "bos.check" -}}
{{- if not .Values.auth.mode -}}
{{- fail "auth.mode: say who may use the API: jwt, mtls, \"jwt,mtls\", or none where something in front has checked that" -}}
{{- end -}}
{{- if and (contains "jwt" .Values.auth.mode) (not .Values.auth.issuers) -}}
{{- fail "auth.issuers: jwt needs the issuers of tokens, and auth.keys their keys" -}}
{{- end -}}
{{- if ne (len .Values.auth.issuers) (len .Values.auth.keys) -}}
{{- fail "auth.keys: one key set for each of auth.issuers, in the same order" -}}
{{- end -}}
{{- if and (contains "mtls" .Values.auth.mode) (not .Values.tls.existingSecret) -}}
{{- fail "tls.existingSecret: mtls needs the server's certificate and, as ca.crt, the CA of clients" -}}
{{- end -}}
{{- if include "bos.embedded" . -}}
{{- if .Values.api.autoscaling.enabled -}}
{{- fail "api.autoscaling.enabled: members of a cluster can't come and go with the load; use store.mode external" -}}
{{- end -}}
{{- if not (has (int .Values.api.replicas) (list 1 3 5)) -}}
{{- fail "api.replicas: an embedded store has 1, 3 or 5 members" -}}
{{- end -}}
{{- if and (or (gt (int .Values.api.replicas) 1) (include "bos.separate" .)) (not (include "bos.peers" .)) -}}
{{- fail "store.embedded.tls.existingSecret: members and operators reach each other over the network; give certificates, or say store.embedded.insecure" -}}
{{- end -}}
{{- else if not .Values.store.external.endpoints -}}
{{- fail "store.external.endpoints: where the etcd is" -}}
{{- end -}}
{{- end -}}

{{/* The variables that the API and the operators share. */}}
{{- define "bos.env" -}}
- name: BOS_CONFIG
  value: /etc/bos/bosd.yaml
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- with .Values.s3.existingSecret }}
{{- if .name }}
- name: S3_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .accessKey }}}}
- name: S3_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .secretKey }}}}
{{- end }}
{{- end }}
{{- if .Values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .Values.tracing.endpoint | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .Values.tracing.ratio | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ .Release.Namespace }},k8s.pod.name=$(POD_NAME)
{{- end }}
{{- end -}}

{{- define "bos.mounts" -}}
- {name: config, mountPath: /etc/bos, readOnly: true}
{{- if .Values.services.tokenSecret.name }}
- {name: token, mountPath: /etc/bos-token, readOnly: true}
{{- end }}
{{- if .Values.services.caConfigMap.name }}
- {name: ca, mountPath: /etc/bos-ca, readOnly: true}
{{- end }}
{{- if include "bos.embedded" . }}
{{- if .Values.store.embedded.tls.existingSecret }}
- {name: store-tls, mountPath: /etc/bos-store, readOnly: true}
{{- end }}
{{- else }}
{{- if .Values.store.external.tls.existingSecret }}
- {name: store-tls, mountPath: /etc/bos-store, readOnly: true}
{{- end }}
{{- if .Values.store.external.passwordSecret.name }}
- {name: store-password, mountPath: /etc/bos-store-password, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{/* Secrets are readable for the group of the pod. */}}
{{- define "bos.volumes" -}}
- name: config
  configMap: {name: {{ include "bos.fullname" . }}}
{{- with .Values.services.tokenSecret }}
{{- if .name }}
- name: token
  secret: {secretName: {{ .name }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- with .Values.services.caConfigMap }}
{{- if .name }}
- name: ca
  configMap: {name: {{ .name }}}
{{- end }}
{{- end }}
{{- if include "bos.embedded" . }}
{{- with .Values.store.embedded.tls.existingSecret }}
- name: store-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- else }}
{{- with .Values.store.external.tls.existingSecret }}
- name: store-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.store.external.passwordSecret }}
{{- if .name }}
- name: store-password
  secret: {secretName: {{ .name }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
