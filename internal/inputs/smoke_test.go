package inputs

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
	"testing"
)

func TestSmoke(t *testing.T) {
	p := field.NewPath("spec", "inputs", "openAPIV3Schema")
	for _, raw := range []string{
		`{"type":"object","required":["environment","image"],"properties":{"environment":{"type":"string","enum":["staging","production"]},"image":{"type":"string","maxLength":100,"pattern":"^[a-z]+:[0-9]{2}$"},"replicas":{"type":"integer","minimum":2,"default":3},"namespace":{"type":"string","maxLength":63}},"x-kubernetes-validations":[{"rule":"self.replicas < 10 || self.environment == 'staging'","message":"too many"}]}`,
		`{"type":"object","properties":{"a":{"type":"string","maxLenght":3}}}`,
		`{"type":"object","properties":{"a":{"type":"array","maxItems":2,"items":{"type":"string","maxLenght":3}}}}`,
		`{"type":"object","properties":{"a":{"type":"string"}, "b":{"type":"array","items":{"type":"strng"}}}}`,
		`{"type":"object","properties":{"a":{"type":"string"}, "b":{"type":"array","items":{"type":"string"}}, "c d":{"type":"integer","format":"int46"}}}`,
		`{"type":"object","x-kubernetes-preserve-unknown-fields":true}`,
		`{"type":"object","properties":{"a":{"type":"integer","default":"x"}}}`,
		`{"type":"object","properties":{"a":{"type":"integer"}},"x-kubernetes-validations":[{"rule":"self.b == 2"},{"rule":"self.a == oldSelf.a"}]}`,
		`{"type":"object","properties":{"a":{"type":"string","maxLength":5,"pattern":"("}}}`,
		`{"properties":{}}`, `[]`, `{} x`, `{"a":1,"a":2}`,
	} {
		s, errs := Compile([]byte(raw), p)
		t.Log(s != nil)
		for _, e := range errs {
			t.Log("   ", e)
		}
		if s == nil {
			continue
		}
		t.Log(s.Names(), s.Example())
		for _, in := range []string{`{}`, `{"environment":"prod","imge":"x"}`, `{"environment":"prod","image":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "replicas":"7"}`, `{"environment":"production","image":"a:12","replicas":12.0}`, `{"environment":"staging","image":"a:12"}`, `{"environment":"staging","image":"a:12","replicas":9007199254740993}`, `{"environment":null,"image":"a:12"}`, `{"environment":"staging","environment":"x"}`, `null`, `[1]`} {
			v, errs := s.Resolve([]byte(in), field.NewPath("spec", "inputs"))
			t.Log("  ", in, v)
			for _, e := range errs {
				t.Log("      ", e)
			}
		}
	}
}
