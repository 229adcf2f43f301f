package chart

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestMonitored looks at what goes with Prometheus and Grafana: it is there on demand only, finds the Pods, and has the names that the alerts expect.
func TestMonitored(t *testing.T) {
	for _, object := range render(t) {
		if object.GroupVersionKind().Group == monitoring.GroupName || object.GetName() == "signoff-dashboard" {
			t.Errorf("%s %s is there although nobody asked for it: its kind may be unknown", object.GetKind(), object.GetName())
		}
	}
	all := render(t, combinations["Monitored"])
	templates := pods(t, all)
	for _, name := range []string{"signoff-admission", "signoff-controller"} {
		monitor := into[monitoringv1.PodMonitor](t, all.named(t, "PodMonitor", name))
		if monitor.Labels["prometheus"] != "main" || monitor.Labels["app.kubernetes.io/name"] != "signoff" {
			t.Errorf("%s: Prometheus does not find it by %v", name, monitor.Labels)
		}
		var found []string
		for pod, template := range templates {
			if matches(monitor.Spec.Selector.MatchLabels, template.Labels) {
				found = append(found, pod)
			}
		}
		if diff := cmp.Diff([]string{name}, found); diff != "" {
			t.Errorf("%s selects (-want +got):\n%s", name, diff)
		}
		endpoint := monitor.Spec.PodMetricsEndpoints[0]
		if !hasPort(templates[name].Spec.Containers[0].Ports, *endpoint.Port) {
			t.Errorf("%s asks at port %s, which there is not", name, *endpoint.Port)
		}
		if relabel := endpoint.RelabelConfigs[0]; relabel.TargetLabel != "job" || *relabel.Replacement != name {
			t.Errorf("%s: the alerts know it by another name: %+v", name, relabel)
		}
	}
}

func hasPort(ports []corev1.ContainerPort, name string) bool {
	for _, port := range ports {
		if port.Name == name {
			return true
		}
	}
	return false
}

// TestMonitoringIsThatOfConfig compares the alerts and the dashboard with the files of config, of which other tests say that they read what there is.
func TestMonitoringIsThatOfConfig(t *testing.T) {
	all := render(t, combinations["Monitored"])
	rules := into[monitoringv1.PrometheusRule](t, all.named(t, "PrometheusRule", "signoff"))
	if rules.Namespace != namespace || rules.Labels["prometheus"] != "main" {
		t.Errorf("Prometheus does not find the rules: %s %v", rules.Namespace, rules.Labels)
	}
	want := into[monitoringv1.PrometheusRule](t, files(t, "config/monitoring/alerts.yaml")[0])
	if diff := cmp.Diff(want.Spec, rules.Spec); diff != "" || len(rules.Spec.Groups) == 0 {
		t.Errorf("the alerts (-config +rendered):\n%s", diff)
	}
	dashboard := into[corev1.ConfigMap](t, all.named(t, "ConfigMap", "signoff-dashboard"))
	if got := dashboard.Data["signoff.json"]; strings.TrimSpace(got) != strings.TrimSpace(file(t, "config/monitoring/dashboard.json")) || !json.Valid([]byte(got)) {
		t.Errorf("the dashboard is another one: %s", got)
	}
	if dashboard.Labels["grafana_dashboard"] != "1" {
		t.Errorf("Grafana does not find the dashboard: %v", dashboard.Labels)
	}
}

// TestTraced looks at what both processes are told.
func TestTraced(t *testing.T) {
	for name, template := range pods(t, render(t, combinations["Monitored"])) {
		if name == "signoff-certificates" || name == "signoff-renewal" {
			continue
		}
		args := strings.Join(template.Spec.Containers[0].Args, " ")
		if !strings.Contains(args, "--tracing-endpoint=http://collector.observability:4318 --tracing-ratio=0.1") {
			t.Errorf("%s sends traces nowhere: %s", name, args)
		}
	}
	for name, template := range pods(t, render(t)) {
		if args := strings.Join(template.Spec.Containers[0].Args, " "); strings.Contains(args, "tracing") {
			t.Errorf("%s sends traces: %s", name, args)
		}
	}
}
