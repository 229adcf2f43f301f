package steps

import "testing"

// TestFixed: where the author has fixed what a step writes, nobody can try a guess by it.
func TestFixed(t *testing.T) {
	const object = "apiVersion: v1, kind: ConfigMap"
	for name, tc := range map[string]struct {
		step string
		want bool
	}{
		"Literal":    {`patch: {merge: {spec: {replicas: 1}}}`, true},
		"Uid":        {`patch: {strategic: {metadata: {annotations: {by: "${request.uid}"}}}}`, true},
		"Input":      {`patch: {merge: {spec: {a: "${inputs.text}"}}}`, false},
		"Reason":     {`patch: {merge: {metadata: {annotations: {by: "${request.uid} ${request.reason}"}}}}`, false},
		"Object":     {`apply: {manifests: [{` + object + `, metadata: {namespace: a, name: "${inputs.text}"}, data: {a: b}}]}`, true},
		"Applied":    {`apply: {manifests: [{` + object + `, metadata: {namespace: a, name: b}, data: {a: "${inputs.text}"}}]}`, false},
		"Label":      {`apply: {manifests: [{` + object + `, metadata: {namespace: a, name: b, labels: {a: "${inputs.text}"}}}]}`, false},
		"Operation":  {`patch: {json: [{op: test, path: /data/a, value: b}]}`, true},
		"TestsValue": {`patch: {json: [{op: test, path: /data/a, value: "${inputs.text}"}]}`, false},
		"TestsPlace": {`patch: {json: [{op: remove, path: "/data/${inputs.text}"}]}`, false},
		"Job":        {`job: {namespace: a, template: {spec: {containers: [{name: a, image: b}], restartPolicy: Never}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mustCompile(t, "[{name: a, "+tc.step+"}]").Fixed("a"); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
	if mustCompile(t, "[{name: a, patch: {merge: {a: b}}}]").Fixed("other") {
		t.Error("nobody knows what a step writes that is not there")
	}
}
