// Package chart renders the chart, compares what comes out with what the product expects, and installs it on a real API server.
package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/signoff-dev/signoff/hack/assets"
)

const (
	// release is the name of the release, and namespace where it is: not where the generated files have it.
	release, namespace = "signoff", "approvals"
	// authority stands for the certificate of an authority: rendering reads nothing of it.
	authority = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
)

// needed are the values that everybody must give.
const needed = `
image: {repository: registry.example.org/signoff}
clientCA: {certificate: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}
`

// combinations are the values that make a difference, each on top of what is needed.
var combinations = map[string]string{
	"Default":     "",
	"CertManager": "certificates: {mode: certManager}",
	"Issuer":      "certificates: {mode: certManager, certManager: {issuerRef: {kind: ClusterIssuer, name: corporate}}}",
	"Secret":      `certificates: {mode: secret, secret: {name: mine, caBundle: "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"}}`,
	"ConfigMap":   "clientCA: {certificate: '', configMap: mine}",
	"Catalogs": `catalogNamespaces:
- {name: platform, serviceAccounts: [deployer], readServiceAccounts: [deployer-read]}
- {name: data, serviceAccounts: [loader]}
- {name: other}`,
	"Constrained": `catalogNamespaces: [{name: platform, serviceAccounts: [deployer], readServiceAccounts: [deployer-read]}]
constrainedImpersonation:
  enabled: true
  rules:
  - {apiGroups: [apps], resources: [deployments], verbs: [get, watch, patch]}
  - {apiGroups: [batch], resources: [jobs], verbs: [create]}`,
	"ConstrainedCertManager": `certificates: {mode: certManager}
catalogNamespaces: [{name: platform, serviceAccounts: [deployer]}]
constrainedImpersonation: {enabled: true, rules: [{apiGroups: [apps], resources: [deployments], verbs: [get, watch, patch]}]}`,
	"WithoutDefinitions": "crds: {install: false}",
	"WithoutControllers": "controller: {replicas: 0}", // a restore of all of etcd is looked at before anything runs
	"KeysFromFiles": `
configuration: {keys: {admissionFile: /etc/signoff/key/key.pem, controllerFile: /etc/signoff/key/key.pem, maxAge: 720h}}
admission: {extraVolumes: [{name: key, secret: {secretName: admission-key}}], extraVolumeMounts: [{name: key, mountPath: /etc/signoff/key, readOnly: true}]}
controller: {extraVolumes: [{name: key, secret: {secretName: controller-key}}], extraVolumeMounts: [{name: key, mountPath: /etc/signoff/key, readOnly: true}]}`,
	"Outbox": `
configuration: {audit: {sinks: [{http: {url: "https://audit.example.org/signoff", bearerTokenFile: /etc/signoff/audit/token, outboxDir: /var/lib/signoff/outbox}}]}}
networkPolicy: {controllerEgress: [{ports: [{protocol: TCP, port: 8443}], to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}
controller:
  replicas: 1
  extraVolumes: [{name: outbox, persistentVolumeClaim: {claimName: signoff-outbox}}, {name: audit, secret: {secretName: signoff-audit}}]
  extraVolumeMounts: [{name: outbox, mountPath: /var/lib/signoff}, {name: audit, mountPath: /etc/signoff/audit, readOnly: true}]`,
	"Calls": `
configuration:
  approvers: {serviceAccounts: [platform/change-bridge]}
  requester: {agents: {users: [robot], groups: ["system:serviceaccounts:agents"], serviceAccounts: [agents/sre-agent]}}
  egress: {hosts: [{host: gitlab.example.com, ports: [443]}, {host: smtp.example.org, ports: [587]}]}
networkPolicy: {controllerEgress: [{ports: [{protocol: TCP, port: 587}]}]}`,
	"Monitored": `
networkPolicy: {metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}
monitoring:
  podMonitors: {enabled: true, labels: {prometheus: main}}
  rules: {enabled: true, labels: {prometheus: main}}
  dashboard: {enabled: true}
tracing: {endpoint: "http://collector.observability:4318", ratio: 0.1}`,
	"Bare": "networkPolicy: {enabled: false}\nmetrics: {enabled: false}\npodSecurityContext: null",
	"Everything": `
image: {digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
configuration:
  person: {expression: "user.username.replace('oidc:', '')"}
  requester: {extraKeys: [example.org/number], maxOpen: 7, agents: {groups: [agents]}}
  approvers: {serviceAccounts: [ci/release]}
  audit: {sinks: [{stdout: {}}, {file: {path: /var/log/signoff/audit.jsonl}}], inputValues: true, checkpoints: {lines: 10, every: 30s}}
  keys: {maxAge: 8760h}
  workers: 4
admission: &part
  replicas: 3
  resources: {requests: {cpu: 1}, limits: {cpu: 2, memory: 1Gi}}
  nodeSelector: {disk: ssd}
  tolerations: [{key: control-plane, operator: Exists, effect: NoSchedule}]
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: Exists}]}]}}}
  priorityClassName: system-cluster-critical
  extraArgs: [--zap-log-level=debug]
  extraEnv: [{name: OTEL_EXPORTER_OTLP_HEADERS, valueFrom: {secretKeyRef: {name: collector, key: headers}}}]
  extraVolumes: [{name: audit, emptyDir: {}}]
  extraVolumeMounts: [{name: audit, mountPath: /var/log/signoff}]
controller: *part
networkPolicy:
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  controllerEgress: [{ports: [{protocol: TCP, port: 8443}]}]
  admissionEgress: [{ports: [{protocol: TCP, port: 9443}]}]`,
}

func helmPath(t *testing.T) string {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	path, err := assets.FindHelm(root)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// helm runs the real helm, with folders of its own. The error has what it said.
func helm(ctx context.Context, t *testing.T, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	command := exec.CommandContext(ctx, helmPath(t), args...)
	command.Dir = root
	command.Env = []string{"HOME=" + home, "KUBECONFIG=" + kubeconfig, "HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home}
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w: %s", args[0], err, said.String())
	}
	return out.String(), nil
}

// valuesFiles writes values to files for helm, each on top of the one before.
func valuesFiles(t *testing.T, values ...string) []string {
	t.Helper()
	var flags []string
	for i, text := range values {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.yaml", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--values="+path)
	}
	return flags
}

// rendered remembers what was rendered of which values.
var rendered = map[string]string{}

// render gives all objects, those of hooks too.
func render(t *testing.T, values ...string) objects {
	t.Helper()
	key := strings.Join(values, "\x00")
	if out, known := rendered[key]; known {
		return parse(t, []byte(out))
	}
	out, err := helm(t.Context(), t, "", append([]string{"template", release, "charts/signoff", "--namespace=" + namespace, "--kube-version=1.37.2"},
		valuesFiles(t, append([]string{needed}, values...)...)...)...)
	if err != nil {
		t.Fatal(err)
	}
	rendered[key] = out
	return parse(t, []byte(out))
}

// objects are manifests.
type objects []*unstructured.Unstructured

func parse(t *testing.T, manifests []byte) objects {
	t.Helper()
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var all objects
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("failed to decode manifests: %v", err)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
}

// of gives the objects of a kind.
func (all objects) of(kind string) objects {
	var found objects
	for _, object := range all {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	return found
}

// named gives the object of a kind with a name.
func (all objects) named(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range all.of(kind) {
		if object.GetName() == name {
			return object
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

func isHook(object *unstructured.Unstructured) bool {
	return object.GetAnnotations()["helm.sh/hook"] != ""
}

// into reads an object into its type, and refuses fields that the type does not have.
func into[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return typed
}

// file reads a file of the repository.
func file(t *testing.T, path string) string {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files gives all objects of files of the repository, with our namespace in place of theirs.
func files(t *testing.T, pattern string) objects {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	var all objects
	for _, name := range names {
		relative, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parse(t, []byte(strings.ReplaceAll(file(t, relative), "signoff-system", namespace)))...)
	}
	return all
}
