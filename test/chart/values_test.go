package chart

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/internal/config"
)

// TestRefused tries values that must not be installed. The message says where, and what would be accepted.
func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reason    string
		values    string
		namespace string
		want      []string
	}{
		"NoImage":          {"There is none to fall back to.", "image: {repository: ''}", "", []string{"image", "repository"}},
		"NoAuthority":      {"Without it anybody could be the API server.", "clientCA: {certificate: ''}", "", []string{"clientCA: exactly one of certificate and configMap", "docs/guides/install.md"}},
		"TwoAuthorities":   {"One would be ignored.", "clientCA: {configMap: mine}", "", []string{"clientCA: exactly one"}},
		"NoCertificate":    {"A key is no certificate.", "clientCA: {certificate: '-----BEGIN PRIVATE KEY-----'}", "", []string{"clientCA", "certificate"}},
		"Misspelt":         {"A misspelt value would be ignored.", "adminssion: {replicas: 1}", "", []string{"adminssion"}},
		"MisspeltBelow":    {"Also deep down.", "configuration: {requester: {maxOpne: 3}}", "", []string{"configuration", "maxOpne"}},
		"Taken":            {"The chart sets where the operator is.", "configuration: {operator: {namespace: other}}", "", []string{"configuration", "operator"}},
		"Shared":           {"Who makes Pods there would be Signoff.", "", "default", []string{"namespace default", "-n signoff-system"}},
		"OwnCatalog":       {"Who writes Actions must not be able to make Pods beside Signoff.", "catalogNamespaces: [{name: approvals}]", "", []string{"catalogNamespaces[0].name", "approvals"}},
		"CatalogTwice":     {"The second would overwrite the first.", "catalogNamespaces: [{name: a}, {name: a}]", "", []string{"catalogNamespaces[1].name"}},
		"SecretIncomplete": {"The API server would trust nobody.", "certificates: {mode: secret, secret: {name: mine}}", "", []string{"certificates.secret", "caBundle"}},
		"SecretUnused":     {"Two would think that theirs is used.", "certificates: {secret: {name: mine}}", "", []string{"certificates.secret", "generate"}},
		"IssuerUnused":     {"The same.", "certificates: {certManager: {issuerRef: {name: mine}}}", "", []string{"certificates.certManager.issuerRef", "generate"}},
		"Mode":             {"There are three.", "certificates: {mode: none}", "", []string{"certificates", "mode"}},
		"AnyVerb":          {"A star bounds nothing.", "constrainedImpersonation: {enabled: true, rules: [{apiGroups: [''], resources: ['*'], verbs: [get]}]}", "", []string{"resources"}},
		"BoundsNothing":    {"It would look bounded.", "constrainedImpersonation: {rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}", "", []string{"constrainedImpersonation.rules", "enabled"}},
		"Root":             {"Not even on a wish.", "podSecurityContext: {runAsUser: 0}", "", []string{"podSecurityContext", "runAsUser"}},
		"Privileged":       {"Nor that.", "podSecurityContext: {privileged: true}", "", []string{"podSecurityContext", "privileged"}},
		"NothingToShow":    {"Nobody would be asked.", "metrics: {enabled: false}\nmonitoring: {podMonitors: {enabled: true}}", "", []string{"monitoring.podMonitors", "metrics.enabled"}},
		"Collector":        {"It is a URL.", "tracing: {endpoint: 'collector:4317'}", "", []string{"tracing", "endpoint"}},
		"Ratio":            {"It is no percentage.", "tracing: {endpoint: 'http://collector:4318', ratio: 50}", "", []string{"tracing", "ratio"}},
		"TagInside":        {"The tag has a value of its own.", "image: {repository: 'registry.example.org/signoff:1.0'}", "", []string{"/image/repository"}},
		"DigestInside":     {"The digest too.", "image: {repository: 'registry.example.org/signoff@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}", "", []string{"/image/repository"}},
		"SpaceInside":      {"No registry has such a name.", "image: {repository: 'registry.example.org/sign off'}", "", []string{"/image/repository"}},
		"SchemeInside":     {"An image is no URL.", "image: {repository: 'https://registry.example.org/signoff'}", "", []string{"/image/repository"}},
		"NoPort":           {"A rule without ports is about all of them.", "networkPolicy: {apiServerPorts: null}", "", []string{"networkPolicy.apiServerPorts: names no port", "[443, 6443]"}},
		"NoPorts":          {"An empty list is the same.", "networkPolicy: {apiServerPorts: []}", "", []string{"/networkPolicy/apiServerPorts"}},
		"NoPolicy":         {"What says whether there is one has no other default than that.", "networkPolicy: {enabled: null}", "", []string{"/networkPolicy", "enabled"}},
		"Workers":          {"Nothing would work.", "configuration: {workers: -3}", "", []string{"/configuration/workers"}},
		"ManyWorkers":      {"The process takes 64.", "configuration: {workers: 65}", "", []string{"/configuration/workers"}},
		"Duration":         {"A time has a unit.", "configuration: {retention: {finished: abc}}", "", []string{"/configuration/retention/finished"}},
		"Days":             {"A day is no unit.", "configuration: {retention: {records: 90d}}", "", []string{"/configuration/retention/records"}},
		"NoUnit":           {"Nor is none.", "configuration: {keys: {maxAge: '8760'}}", "", []string{"/configuration/keys/maxAge"}},
		"Details":          {"The process would not start.", "configuration: {retention: {details: 59s}}", "", []string{"configuration.retention.details: 1m to 8760h", "59s"}},
		"LongDetails":      {"Nor with that.", "configuration: {retention: {details: 9000h}}", "", []string{"configuration.retention.details: 1m to 8760h"}},
		"Finished":         {"Nobody could look at what ended.", "configuration: {retention: {finished: 59m59s}}", "", []string{"configuration.retention.finished: at least 1h"}},
		"Records":          {"Rules look back.", "configuration: {retention: {records: 191.5h}}", "", []string{"configuration.retention.records: at least 192h"}},
		"ShortRecords":     {"The Record would go before its request.", "configuration: {retention: {finished: 3000h}}", "", []string{"configuration.retention.records: Records are kept at least as long"}},
		"RecordsOfKept":    {"The same of requests that are kept for ever.", "configuration: {retention: {finished: 0s}}", "", []string{"configuration.retention.records: Records are kept at least as long"}},
		"Annotation":       {"An annotation is a text.", "admission: {podAnnotations: {a: true}}", "", []string{"/admission/podAnnotations/a"}},
		"Past":             {"What is kept for less than nothing?", "configuration: {retention: {details: -1h}}", "", []string{"/configuration/retention/details"}},
		"Open":             {"Nobody could ask.", "configuration: {requester: {maxOpen: 0}}", "", []string{"/configuration/requester/maxOpen"}},
		"DryRuns":          {"Nor try.", "configuration: {requester: {maxDryRuns: 0}}", "", []string{"/configuration/requester/maxDryRuns"}},
		"Outbox":           {"Little has room in it.", "configuration: {audit: {sinks: [{http: {outboxMiB: 1}}]}}", "", []string{"outboxMiB"}},
		"Checkpoints":      {"Nothing would be signed.", "configuration: {audit: {checkpoints: {lines: 0, every: soon}}}", "", []string{"checkpoints/lines", "checkpoints/every"}},
		"TwoSinks":         {"One sink is one place.", "configuration: {audit: {sinks: [{stdout: {}, file: {path: /a}}]}}", "", []string{"sinks"}},
	} {
		t.Run(name, func(t *testing.T) {
			where := namespace
			if tc.namespace != "" {
				where = tc.namespace
			}
			_, err := helm(t.Context(), t, "", append([]string{"template", release, "charts/signoff", "--namespace=" + where}, valuesFiles(t, needed, tc.values)...)...)
			if err == nil {
				t.Fatalf("it was accepted: %s", tc.reason)
			}
			for _, word := range tc.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%s: the message does not say %q: %v", tc.reason, word, err)
				}
			}
		})
	}
}

// TestTaken are values that look unusual and are right.
func TestTaken(t *testing.T) {
	for name, tc := range map[string]struct{ reason, values string }{
		"Port":      {"A registry has a port.", "image: {repository: 'registry.example.org:5000/team/signoff'}"},
		"Address":   {"Or only an address.", "image: {repository: '[2001:db8::1]:5000/signoff'}"},
		"NoHost":    {"Or none.", "image: {repository: library/sign_off--it.x}"},
		"Durations": {"Go writes times so.", "configuration: {retention: {details: 1h30m, finished: 0s, records: '0'}, keys: {maxAge: 1.5h}}"},
		"Retention": {"The least of each.", "configuration: {retention: {details: 60s, finished: 60m, records: 191h60m}}"},
	} {
		t.Run(name, func(t *testing.T) {
			text := into[corev1.ConfigMap](t, render(t, tc.values).named(t, "ConfigMap", "signoff-configuration")).Data["configuration.yaml"]
			if _, err := config.Load([]byte(text)); err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

// TestOldKubernetes: what an older version does not know bounds nothing there. Without a cluster helm takes a version of its own.
func TestOldKubernetes(t *testing.T) {
	template := func(version string) error {
		_, err := helm(t.Context(), t, "", append([]string{"template", release, "charts/signoff", "--namespace=" + namespace, "--kube-version=" + version},
			valuesFiles(t, needed, combinations["Constrained"])...)...)
		return err
	}
	for _, version := range []string{"1.36.0", "v1.36.3-gke.100"} {
		if err := template(version); err != nil {
			t.Error(err)
		}
	}
	err := template("1.35.4")
	for _, word := range []string{"constrainedImpersonation.enabled: needs Kubernetes 1.36", "v1.35.4", "--kube-version"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("it does not say %q: %v", word, err)
		}
	}
}

// TestNothingBelow: a section of which everything is commented out is null, and that is no reason to lose what values.yaml says of it.
func TestNothingBelow(t *testing.T) {
	want := render(t)
	for _, values := range []string{
		"admission:", "catalogNamespaces:", "certificates:", "certificates: {certManager: null, secret: null}", "configuration:", "constrainedImpersonation:", "controller:", "crds:",
		"imagePullSecrets:", "metrics:", "monitoring:", "networkPolicy:", "tracing:",
		"{admission: null, certificates: null, configuration: null, constrainedImpersonation: null, controller: null, crds: null, metrics: null, networkPolicy: null}",
	} {
		if diff := cmp.Diff(want, render(t, values)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", values, diff)
		}
	}
	for _, values := range []string{"image:", "clientCA:"} {
		_, err := helm(t.Context(), t, "", append([]string{"template", release, "charts/signoff", "--namespace=" + namespace}, valuesFiles(t, needed, values)...)...)
		if err == nil || !strings.Contains(err.Error(), "missing property '"+strings.TrimSuffix(values, ":")+"'") {
			t.Errorf("%s has no default, and that is not said: %v", values, err)
		}
	}
}

// TestOfPods: labels and annotations that others ask for, such as a mesh or a cloud, beside those of the chart.
func TestOfPods(t *testing.T) {
	given := render(t, `
admission: {podLabels: {team: security, app.kubernetes.io/name: other}, podAnnotations: {sidecar.istio.io/inject: "false", signoff.dev/configuration: "none"}, serviceAccountAnnotations: {cloud/role: "1"}}
controller: {topologySpreadConstraints: [{topologyKey: rack, maxSkew: 2, whenUnsatisfiable: DoNotSchedule}]}`)
	plain := render(t)
	part := func(from objects, name string) *appsv1.Deployment {
		return into[appsv1.Deployment](t, from.named(t, "Deployment", name))
	}
	got, before := part(given, "signoff-admission").Spec.Template, part(plain, "signoff-admission").Spec.Template
	before.Labels["team"] = "security"
	before.Annotations["sidecar.istio.io/inject"] = "false"
	if diff := cmp.Diff(before, got); diff != "" {
		t.Errorf("the Pods of admission (-want +got):\n%s", diff)
	}
	if spread := part(given, "signoff-controller").Spec.Template.Spec.TopologySpreadConstraints; len(spread) != 1 || spread[0].TopologyKey != "rack" {
		t.Errorf("the Pods of the controllers are spread by %v", spread)
	}
	if spread := before.Spec.TopologySpreadConstraints; len(spread) != 2 {
		t.Errorf("without that they are spread by %v", spread)
	}
	renewal := into[batchv1.CronJob](t, render(t, `controller: {podLabels: {team: security}, podAnnotations: {sidecar.istio.io/inject: "false"}}`).named(t, "CronJob", "signoff-renewal"))
	if of := renewal.Spec.JobTemplate.Spec.Template.ObjectMeta; of.Labels["team"] != "security" || of.Annotations["sidecar.istio.io/inject"] != "false" || of.Labels["app.kubernetes.io/component"] != "renewal" {
		t.Errorf("with a mesh beside them, the Pods that make certificates would never end: %+v", of)
	}
	for name, want := range map[string]string{"signoff-admission": "1", "signoff-controller": ""} {
		if got := given.named(t, "ServiceAccount", name).GetAnnotations()["cloud/role"]; got != want {
			t.Errorf("the annotation of %s is %q, want %q", name, got, want)
		}
	}
}

// TestRenewedBeforeTheAlert: cert-manager replaces the certificate before SignoffCertificateEnds rings.
func TestRenewedBeforeTheAlert(t *testing.T) {
	for _, name := range []string{"CertManager", "Issuer"} {
		spec, _, err := unstructured.NestedStringMap(map[string]any{"spec": picked(t, render(t, combinations[name]).named(t, "Certificate", "signoff-webhook"), "duration", "renewBefore")}, "spec")
		if err != nil {
			t.Fatal(err)
		}
		lasts, err := time.ParseDuration(spec["duration"])
		if err != nil {
			t.Fatal(err)
		}
		before, err := time.ParseDuration(spec["renewBefore"])
		if alert := 2592000 * time.Second; err != nil || before <= alert || before >= lasts {
			t.Errorf("%s: it lasts %s, and is renewed %s before its end: %v", name, lasts, before, err)
		}
		if !strings.Contains(file(t, "config/monitoring/alerts.yaml"), "signoff_webhook_certificate_expiry_seconds) < 2592000") {
			t.Error("the alert rings at another time")
		}
	}
}

// picked are some fields of the spec of an object.
func picked(t *testing.T, object *unstructured.Unstructured, names ...string) map[string]any {
	t.Helper()
	spec, _, err := unstructured.NestedMap(object.Object, "spec")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, name := range names {
		out[name] = spec[name]
	}
	return out
}

// TestNamesStayNames: YAML has numbers and truths that are written as names can be.
func TestNamesStayNames(t *testing.T) {
	names := func(release, namespace, catalog, mine string) string {
		values := strings.NewReplacer("CATALOG", catalog, "MINE", mine).Replace(`
clientCA: {certificate: "", configMap: "MINE"}
catalogNamespaces: [{name: "CATALOG", serviceAccounts: ["MINE"], readServiceAccounts: ["MINE"]}]
certificates: {mode: secret, secret: {name: "MINE", caBundle: "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"}}
admission: {priorityClassName: "MINE"}`)
		out := ""
		for _, mode := range []string{"", "certificates: {mode: generate, secret: {name: '', caBundle: ''}}", "certificates: {mode: certManager, secret: {name: '', caBundle: ''}}"} {
			text, err := helm(t.Context(), t, "", append([]string{"template", release, "charts/signoff", "--namespace=" + namespace, "--kube-version=1.37.2"},
				valuesFiles(t, needed, combinations["Monitored"], values, mode)...)...)
			if err != nil {
				t.Fatal(err)
			}
			// What holds the names is another one, and so is its hash.
			text = regexp.MustCompile("signoff.dev/configuration: .*").ReplaceAllString(text, "")
			json, err := json.MarshalIndent(parse(t, []byte(text)), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			out += string(json)
		}
		return out
	}
	want := strings.NewReplacer("a-release", "2024", "a-namespace", "1234", "a-catalog", "on", "a-thing", "1e3").Replace(names("a-release", "a-namespace", "a-catalog", "a-thing"))
	got := names("2024", "1234", "on", "1e3")
	// The configuration is YAML inside a text, in which the writer puts quotes.
	unquoted := strings.NewReplacer(`\"1234\"`, "1234", `\"on\"`, "on").Replace(got)
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(unquoted, "\n")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !strings.Contains(got, `- \"on\"`) {
		t.Error("the configuration names no catalog, but says that something is so")
	}
}

// TestConfiguration reads the configuration as the process would.
func TestConfiguration(t *testing.T) {
	load := func(name string) *config.Configuration {
		data := into[corev1.ConfigMap](t, render(t, combinations[name]).named(t, "ConfigMap", "signoff-configuration")).Data
		cfg, err := config.Load([]byte(data["configuration.yaml"]))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return cfg
	}
	want := config.Default()
	want.Operator = config.Operator{Namespace: namespace, ServiceAccount: "signoff-controller", AdmissionServiceAccount: "signoff-admission"}
	want.Webhook.ClientCAFile = "/etc/signoff/client-ca/ca.crt"
	want.Metrics.BindAddress = ":8080"
	if diff := cmp.Diff(want, load("Default"), cmp.Transformer("unset", func(list []string) []string { return append([]string{}, list...) })); diff != "" {
		t.Errorf("with no values (-want +got):\n%s", diff)
	}
	full := load("Everything")
	for _, same := range []bool{
		full.Person.Expression == "user.username.replace('oidc:', '')", full.Requester.MaxOpen == 7, full.Workers == 4, len(full.Audit.Sinks) == 2,
		full.Audit.Checkpoints.Every == metav1.Duration{Duration: 30 * time.Second}, full.Operator == want.Operator,
	} {
		if !same {
			t.Errorf("values are lost: %+v", full)
		}
	}
	if diff := cmp.Diff([]string{"platform", "data", "other"}, load("Catalogs").CatalogNamespaces); diff != "" {
		t.Errorf("Actions may be published elsewhere (-want +got):\n%s", diff)
	}
	if got := load("Bare").Metrics.BindAddress; got != "0" {
		t.Errorf("metrics are served on %q", got)
	}
}

// node is a part of values.schema.json.
type node struct {
	Ref                  string           `json:"$ref"`
	Type                 any              `json:"type"`
	Properties           map[string]*node `json:"properties"`
	Items                *node            `json:"items"`
	AdditionalProperties any              `json:"additionalProperties"`
	Definitions          map[string]*node `json:"definitions"`
}

func schema(t *testing.T) *node {
	t.Helper()
	root := &node{}
	if err := json.Unmarshal([]byte(file(t, "charts/signoff/values.schema.json")), root); err != nil {
		t.Fatal(err)
	}
	return root
}

// walk visits the schema of every value, with its path.
func (n *node) walk(path string, definitions map[string]*node, visit func(string, *node)) {
	if name, ok := strings.CutPrefix(n.Ref, "#/definitions/"); ok {
		n = definitions[name]
	}
	visit(path, n)
	for name, property := range n.Properties {
		property.walk(strings.TrimPrefix(path+"."+name, "."), definitions, visit)
	}
	if n.Items != nil {
		n.Items.walk(path+"[]", definitions, visit)
	}
}

// TestSchemaIsStrict looks for objects that accept anything: only those are left that Kubernetes itself checks.
func TestSchemaIsStrict(t *testing.T) {
	var open []string
	root := schema(t)
	root.walk("", root.Definitions, func(path string, n *node) {
		if n.AdditionalProperties != false && (n.Type == "object" || n.Properties != nil) {
			open = append(open, path)
		}
	})
	slices.Sort(open)
	var want []string
	for _, part := range []string{"admission", "controller"} {
		for _, field := range []string{"affinity", "extraEnv[]", "extraVolumeMounts[]", "extraVolumes[]", "nodeSelector", "resources", "tolerations[]", "topologySpreadConstraints[]"} {
			want = append(want, part+"."+field)
		}
	}
	want = append(want, "global")
	for _, part := range []string{"dashboard", "podMonitors", "rules"} {
		want = append(want, "monitoring."+part+".labels")
	}
	want = append(want, "networkPolicy.admissionEgress[]", "networkPolicy.certificatesEgress[]", "networkPolicy.controllerEgress[]", "networkPolicy.metricsFrom[]")
	if diff := cmp.Diff(want, open); diff != "" {
		t.Errorf("-want +accept anything:\n%s", diff)
	}
}

// TestSchemaHasEveryField compares the schema of configuration with the type of the process: a field that is new there must be here, or be
// set by the chart.
func TestSchemaHasEveryField(t *testing.T) {
	byChart := sets.New("operator", "catalogNamespaces", "webhook", "health", "metrics", "leaderElection")
	want, got := sets.New[string](), sets.New[string]()
	fields("", reflect.TypeFor[config.Configuration](), func(path string) {
		if top, _, _ := strings.Cut(path, "."); !byChart.Has(top) {
			want.Insert(path)
		}
	})
	root := schema(t)
	root.Properties["configuration"].walk("", root.Definitions, func(path string, _ *node) { got.Insert(strings.ReplaceAll(path, "[]", "")) })
	got.Delete("")
	if diff := cmp.Diff(sets.List(want), sets.List(got)); diff != "" {
		t.Errorf("configuration in charts/signoff/values.schema.json (-internal/config +schema):\n%s", diff)
	}
}

// fields names all fields of a type as JSON has them.
func fields(path string, of reflect.Type, visit func(string)) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || of == reflect.TypeFor[metav1.Duration]() {
		return
	}
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if name == "" {
			continue // apiVersion and kind
		}
		below := strings.TrimPrefix(path+"."+name, ".")
		visit(below)
		fields(below, of.Field(i).Type, visit)
	}
}

// TestEveryDefaultIsWritten compares values.yaml with the schema: what may be given is shown there, but for what is below configuration.
func TestEveryDefaultIsWritten(t *testing.T) {
	values := map[string]any{}
	if err := yaml.Unmarshal([]byte(file(t, "charts/signoff/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	root := schema(t)
	root.walk("", root.Definitions, func(path string, _ *node) {
		if path == "" || path == "global" || strings.Contains(path, "[]") || strings.HasPrefix(path, "configuration.") || strings.HasPrefix(path, "certificates.certManager.issuerRef.") {
			return
		}
		var at any = values
		for _, name := range strings.Split(path, ".") {
			below, known := at.(map[string]any)[name]
			if !known {
				t.Errorf("values.yaml does not show %s", path)
				return
			}
			at = below
		}
	})
}

// pods are the Pod templates of everything that runs.
func pods(t *testing.T, all objects) map[string]corev1.PodTemplateSpec {
	t.Helper()
	found := map[string]corev1.PodTemplateSpec{}
	for _, object := range all.of("Deployment") {
		found[object.GetName()] = into[appsv1.Deployment](t, object).Spec.Template
	}
	for _, object := range all.of("Job") {
		found[object.GetName()] = into[batchv1.Job](t, object).Spec.Template
	}
	for _, object := range all.of("CronJob") {
		found[object.GetName()] = into[batchv1.CronJob](t, object).Spec.JobTemplate.Spec.Template
	}
	return found
}

// TestValuesReachThePods looks at one set of values in full.
func TestValuesReachThePods(t *testing.T) {
	for name, pod := range pods(t, render(t, combinations["Everything"])) {
		container := pod.Spec.Containers[0]
		if want := "registry.example.org/signoff@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"; container.Image != want {
			t.Errorf("%s: the digest does not win over the tag: %s", name, container.Image)
		}
		if container.ImagePullPolicy != corev1.PullAlways || !cmp.Equal(pod.Spec.ImagePullSecrets, []corev1.LocalObjectReference{{Name: "registry"}}) {
			t.Errorf("%s: the image is pulled otherwise: %+v", name, pod.Spec)
		}
		if pod.Spec.NodeSelector["disk"] != "ssd" || len(pod.Spec.Tolerations) != 1 {
			t.Errorf("%s: it runs elsewhere: %+v", name, pod.Spec)
		}
		if name == "signoff-certificates" || name == "signoff-renewal" {
			continue
		}
		got := []any{container.Args[2:], pod.Spec.PriorityClassName, pod.Spec.Affinity != nil, container.Resources.Limits.Memory().String(), len(pod.Spec.TopologySpreadConstraints)}
		if diff := cmp.Diff([]any{[]string{"--zap-log-level=debug"}, "system-cluster-critical", true, "1Gi", 2}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		var mounted []string
		for _, mount := range container.VolumeMounts {
			if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
				t.Errorf("%s mounts %s, which is no volume", name, mount.Name)
			}
			mounted = append(mounted, mount.MountPath)
		}
		if !slices.Contains(mounted, "/var/log/signoff") {
			t.Errorf("%s: the volume is mounted nowhere: %s", name, mounted)
		}
	}
	for name, pod := range pods(t, render(t)) {
		if got, want := pod.Spec.Containers[0].Image, "registry.example.org/signoff:0.1.0"; got != want {
			t.Errorf("%s: without a tag it is the version of the chart: %s", name, got)
		}
	}
}

// TestAdmissionIsDrained: the kubelet leaves a Pod longer than it goes on answering. `make e2e` shows that nobody is refused meanwhile.
func TestAdmissionIsDrained(t *testing.T) {
	all := render(t)
	text := into[corev1.ConfigMap](t, all.named(t, "ConfigMap", "signoff-configuration")).Data["configuration.yaml"]
	cfg, err := config.Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	left := corev1.DefaultTerminationGracePeriodSeconds * time.Second
	if given := pods(t, all)["signoff-admission"].Spec.TerminationGracePeriodSeconds; given != nil {
		left = time.Duration(*given) * time.Second
	}
	if drain := cfg.Webhook.Drain.Duration; drain <= 0 || left < drain+10*time.Second {
		t.Errorf("it answers for %s more, and is killed after %s", drain, left)
	}
}

// TestPodsAreFound compares selectors with the Pods that they are meant for, and with no others.
func TestPodsAreFound(t *testing.T) {
	all := render(t)
	templates := pods(t, all)
	for kind, at := range map[string][]string{
		"PodDisruptionBudget": {"spec", "selector", "matchLabels"}, "NetworkPolicy": {"spec", "podSelector", "matchLabels"}, "Deployment": {"spec", "selector", "matchLabels"},
	} {
		for _, object := range all.of(kind) {
			selector, _, err := unstructured.NestedStringMap(object.Object, at...)
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for name, pod := range templates {
				if matches(selector, pod.Labels) {
					found = append(found, name)
				}
			}
			if diff := cmp.Diff([]string{object.GetName()}, found); diff != "" {
				t.Errorf("%s %s selects (-want +got):\n%s", kind, object.GetName(), diff)
			}
		}
	}
	service := into[corev1.Service](t, all.named(t, "Service", "signoff-webhook"))
	if !matches(service.Spec.Selector, templates["signoff-admission"].Labels) || matches(service.Spec.Selector, templates["signoff-controller"].Labels) {
		t.Errorf("the Service selects others: %+v", service.Spec.Selector)
	}
}

func matches(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

// TestNetwork looks at who reaches what.
func TestNetwork(t *testing.T) {
	ports := func(values, name, direction string) string {
		object := render(t, values).named(t, "NetworkPolicy", name)
		text, err := yaml.Marshal(object.Object["spec"].(map[string]any)[direction])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, tc := range map[string]struct {
		reason, values, policy, direction string
		want                              []string
		not                               []string
	}{
		"Webhooks":       {"The API server is no Pod.", "", "signoff-admission", "ingress", []string{"9443"}, []string{"8080", "8081"}},
		"NobodyControls": {"Nobody asks the controllers anything.", "", "signoff-controller", "ingress", []string{"null"}, nil},
		"Metrics":        {"Whoever is named.", combinations["Everything"], "signoff-controller", "ingress", []string{"8080", "monitoring"}, []string{"9443"}},
		"Out":            {"To the API server.", "", "signoff-controller", "egress", []string{"6443", "443", "53"}, []string{"8443"}},
		"Receiver":       {"And to the receiver of the audit log.", combinations["Everything"], "signoff-controller", "egress", []string{"8443"}, nil},
		"Hosts":          {"And to the hosts that lookups ask.", combinations["Everything"], "signoff-admission", "egress", []string{"9443"}, nil},
		"Certificates":   {"It cannot make a certificate elsewhere.", combinations["Everything"], "signoff-certificates", "egress", []string{"6443", "443", "53"}, []string{"8443", "9443"}},
		"NobodyElse":     {"Nobody asks that Job anything.", combinations["Everything"], "signoff-certificates", "ingress", []string{"null"}, nil},
		"Renewal":        {"Nor what renews it.", combinations["Everything"], "signoff-renewal", "ingress", []string{"null"}, nil},
		"Renews":         {"Which asks the API server only.", combinations["Everything"], "signoff-renewal", "egress", []string{"6443", "443", "53"}, []string{"8443", "9443"}},
		"Behind":         {"Wherever that is.", "networkPolicy: {certificatesEgress: [{ports: [{protocol: TCP, port: 16443}]}]}", "signoff-renewal", "egress", []string{"16443"}, nil},
		"BehindAtFirst":  {"Also for the Job.", "networkPolicy: {certificatesEgress: [{ports: [{protocol: TCP, port: 16443}]}]}", "signoff-certificates", "egress", []string{"16443"}, nil},
		"NotAdmission":   {"Which admission does not write.", combinations["Everything"], "signoff-admission", "egress", []string{"6443"}, []string{"8443"}},
	} {
		got := ports(tc.values, tc.policy, tc.direction)
		for _, word := range tc.want {
			if !strings.Contains(got, word) {
				t.Errorf("%s: %s %q is not in\n%s", name, tc.reason, word, got)
			}
		}
		for _, word := range tc.not {
			if strings.Contains(got, word) {
				t.Errorf("%s: %s %q is in\n%s", name, tc.reason, word, got)
			}
		}
	}
	if n := len(render(t, combinations["Bare"]).of("NetworkPolicy")); n != 0 {
		t.Errorf("there are %d NetworkPolicies that nobody wants", n)
	}
}

// TestNetworkOfHooks: where nothing may go out by default, the Job must be let out before it runs, each time, or an installation waits for ever.
func TestNetworkOfHooks(t *testing.T) {
	all := render(t)
	job, policy := all.named(t, "Job", "signoff-certificates").GetAnnotations(), all.named(t, "NetworkPolicy", "signoff-certificates").GetAnnotations()
	for _, name := range []string{"helm.sh/hook", "helm.sh/hook-delete-policy"} {
		if job[name] == "" || job[name] != policy[name] {
			t.Errorf("%s of the Job is %q, and of its NetworkPolicy %q", name, job[name], policy[name])
		}
	}
	before, err := strconv.Atoi(policy["helm.sh/hook-weight"])
	if err != nil {
		t.Fatal(err)
	}
	if then, err := strconv.Atoi(job["helm.sh/hook-weight"]); err != nil || before >= then {
		t.Errorf("the NetworkPolicy comes with weight %d, the Job with %d: %v", before, then, err)
	}
	for _, name := range []string{"CertManager", "Secret"} {
		if n := len(render(t, combinations[name]).of("NetworkPolicy")); n != 2 {
			t.Errorf("%s: there are %d NetworkPolicies, and no Job", name, n)
		}
	}
}
