package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestProtocolIsTCP: a port whose protocol is not written is the one by TCP, as for the API server, and not the first of that number.
func TestProtocolIsTCP(t *testing.T) {
	const (
		udp     = "{name: dns, port: 53, protocol: UDP, targetPort: 5353}"
		tcp     = "{name: dns-tcp, port: 53, protocol: TCP, targetPort: 5353}"
		others  = `managedFields: [{manager: other, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:ports": {"k:{\"port\":53,\"protocol\":\"UDP\"}": {"f:port": {}}}}}}]`
		own     = `managedFields: [{manager: signoff/platform/deploy/rollout, operation: Apply, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:ports": {"k:{\"port\":53,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}}}}}}]`
		changed = "spec.ports[dns-tcp].targetPort: 5353 → 5354"
	)
	for name, tc := range map[string]struct {
		reason, managed, ports, body string
		want                         []string
	}{
		"Second":  {"the second of that number", others, udp + ", " + tcp, "{port: 53, name: dns-tcp, targetPort: 5354}", []string{changed}},
		"Written": {"it is written", others, udp + ", " + tcp, "{port: 53, protocol: UDP, targetPort: 5354}", []string{"spec.ports[dns].targetPort: 5353 → 5354"}},
		"New":     {"there is none of that protocol", others, udp, "{port: 53, name: dns-tcp, targetPort: 5354}", []string{"spec.ports[dns-tcp].port: (new) 53", "spec.ports[dns-tcp].targetPort: (new) 5354"}},
		"Unowned": {"the types of Kubernetes know one of the keys only", "labels: {}", udp + ", " + tcp, "{port: 53, name: dns-tcp, targetPort: 5354}", []string{changed}},
		"Gone": {"what was applied earlier by another protocol is taken back", own, udp + ", " + tcp, "{port: 53, name: dns-tcp, targetPort: 5354}", []string{
			"WARNING: spec.ports gets shorter, 2 → 1", changed, `spec.ports[dns]: {"name":"dns","port":53,"protocol":"UDP","targetPort":5353} → (removed)`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			const service = "{apiVersion: v1, kind: Service, metadata: {namespace: a, name: dns"
			live := parse(t, service+", "+tc.managed+"}, spec: {ports: ["+tc.ports+"]}}")
			w := write(t, v1alpha1.WriteApply, service+"}}", service+"}, spec: {ports: ["+tc.body+"]}}")
			got := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{w}}}, View{Live: func(v1alpha1.ObjectReference) Found { return Found{Object: live} }})
			if diff := cmp.Diff(tc.want, got[0].Fields); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
